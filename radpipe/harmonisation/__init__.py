"""Features from several scanners or sites -> one scale. Fitted on training cases only; applied to others apart."""
