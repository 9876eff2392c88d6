"""What keeps a browser from misusing an answer, and an attacker from learning too much."""
