"""What does each leased credential need: to be made, kept, or ended."""
