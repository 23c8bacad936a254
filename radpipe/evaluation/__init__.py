"""8. predictions -> metrics. Every interval names its method; what is undefined is NaN and says why."""
