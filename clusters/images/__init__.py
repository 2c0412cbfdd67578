"""Where images come from: a registry (pinned digests) or source (pinned Go modules on a Debian base)."""
