"""The plugins of netproof, and nothing else."""

pytest_plugins = [
    "pytester",
    "fixtures.plugins.options",
    "fixtures.plugins.run",
    "fixtures.plugins.terminal",
    "fixtures.plugins.counts",
    "fixtures.plugins.environment",
    "fixtures.plugins.families",
    "fixtures.plugins.engine",
    "fixtures.plugins.networks",
    "fixtures.plugins.programs",
    "fixtures.plugins.cluster",
    "fixtures.plugins.world",
    "fixtures.plugins.services",
    "fixtures.plugins.populace",
    "fixtures.plugins.fault_matrix",
]
