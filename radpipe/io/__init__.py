"""The only code that knows a file format: files, tables and volumes in, the nouns of ``radpipe.core`` out, and back."""
