"""Policy holds for who comes by a Service's ClusterIP as for who comes to the pod itself.

    x-b, y-a … ── 10.96.n.n:80 ── translated on the client's node ── x-a

Policies speak of pods, and the translation is done before they are asked: the Service is no way around. It fails
where an enforcer looks at packets before their translation, on the ClusterIP that no policy names.
"""

from __future__ import annotations

import pytest

from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import must_become
from fixtures.probes.plan import every, virtual
from fixtures.probes.policy_promises import by_policy
from fixtures.probes.runner import Prober
from fixtures.verdicts.expectation import all_of, reached
from fixtures.world.populace import SETTLED_WITHIN, WAYS, Populace
from suites.policy.clauses import CLAUSES, Clause

CHOSEN = ("deny-all-ingress", "from-a-namespace", "from-pods-or-namespace", "port-by-number", "port-by-name")


@pytest.mark.claim("POL-5")
@pytest.mark.requires("network-policy")
@pytest.mark.parametrize("clause", [it for it in CLAUSES if it.name in CHOSEN], ids=lambda clause: clause.name)
def test_by_cluster_ip(populace: Populace, prober: Prober, proof: Proof, clause: Clause) -> None:
    """Who may come to the pod comes by its Service's ClusterIP, and who may not does not, from both nodes."""
    with populace.service("x-a") as address:
        others = [pod for name, pod in populace.items() if name != "x-a"]
        cells = every(others, [virtual("service/x-a", address, [populace["x-a"]])], WAYS)
        before = must_become(prober, all_of(cells, reached()), in_a_row=1)

        with populace.applied(clause.policies) as policies:
            promised = by_policy(policies, cells, lambda name: populace.party(name.removeprefix("service/")))
            settled = must_become(prober, promised, witnesses=[before.judgement.sweep], within=SETTLED_WITHIN)

    proof.concludes(before.judgement, settled.judgement)
    proof.measured("until it holds", settled.took, "s")
