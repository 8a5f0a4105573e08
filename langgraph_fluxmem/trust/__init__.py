"""What keeps other people's text out of what an agent is told to do: the screen, what it holds back, and the quarantine."""
