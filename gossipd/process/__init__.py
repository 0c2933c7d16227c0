"""What every command of gossipd is as a process: signals and standard streams."""
