"""The command line. Each command is imported when it is invoked, so that `cauce --help` answers at once."""
