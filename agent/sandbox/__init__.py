"""The files of tasks: folders, what may be read of them, volumes."""
