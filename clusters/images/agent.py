"""The agent's image: a Debian base, tools, resolvers of two C libraries, and the prober's code as a thin layer."""

from __future__ import annotations

import shutil
from pathlib import Path

from clusters.images import cache, local
from clusters.images.recipes import digest, tree

CODE = Path(__file__).parents[2] / "fixtures" / "agent"
"""The prober: a package of the standard library and dnspython alone, run as `python3 -m agent`."""

CONTEXTS = Path(__file__).parent / "contexts"


def layer(name: str, base: str) -> str:
    """The name of the image that the context `name` makes on `base`."""
    return f"netproof/{name}:{digest([base, *tree(CONTEXTS / name)])}"


def build_layer(name: str, base: str, tag: str) -> None:
    """Build the context `name` on `base` as `tag`."""
    local.build(CONTEXTS / name, tag, log=name, arguments={"BASE": base})


def reference(tools: str, resolvers: str) -> str:
    """The name of the agent's image of the images `tools` and `resolvers`; it changes with the code."""
    return f"netproof/agent:{digest([tools, resolvers, *tree(CONTEXTS / 'agent'), *tree(CODE, '**/*.py')])}"


def build(tools: str, resolvers: str, tag: str) -> None:
    """Build the agent's image on its tools image, with the programs of the image `resolvers`, as `tag`."""
    with cache.scratch("agent") as context:
        shutil.copy(CONTEXTS / "agent" / "Dockerfile", context)
        for path in CODE.glob("**/*.py"):
            target = context / "agent" / path.relative_to(CODE)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        local.build(context, tag, log="agent", arguments={"BASE": tools, "RESOLVERS": resolvers})
