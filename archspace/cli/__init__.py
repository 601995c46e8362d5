"""The command line: thin commands over the public functions; heavy imports inside each command."""
