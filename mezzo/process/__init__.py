"""What a daemon needs of its operating system: clocks, signals, logs, settings, a term."""
