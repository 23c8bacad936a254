"""``python -m radpipe``."""

from radpipe.cli.main import main

if __name__ == "__main__":
    main()
