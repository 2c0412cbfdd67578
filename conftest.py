"""The plugins of netproof, and nothing else."""

pytest_plugins: list[str] = []
