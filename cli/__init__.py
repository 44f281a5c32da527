"""The `mezzo` command. Its subcommands import what they need when they run: `--help` is quick."""
