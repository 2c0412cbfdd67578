"""Static routes: the plugin `ptp` hangs pods on their nodes, and each node has a route to every other subnet.

The smallest CNI that passes, and the one to begin a new one from. The script runs as the node itself.
"""

from __future__ import annotations

import yaml

from clusters.datapath import Datapath, RoutedVeth
from clusters.features import Feature
from clusters.manifests import OWN_IMAGE
from clusters.model import Cni, Objects, Profile

_CONFIGURATION = "/etc/cni/net.d/10-static-routes.conflist"
_AS_THE_NODE = (
    'exec env TOKEN="$(cat /var/run/secrets/kubernetes.io/serviceaccount/token)" chroot /node sh -ec "$0"'
)
_SCRIPT = """
iptables -t nat -A POSTROUTING -s $PODS ! -d $PODS -m comment --comment 'pods to the outside' -j MASQUERADE
kubectl --server "https://$KUBERNETES_SERVICE_HOST" --certificate-authority /etc/kubernetes/pki/ca.crt \\
  --token "$TOKEN" get nodes --watch \\
  -o jsonpath='{.metadata.name} {.status.addresses[?(@.type=="InternalIP")].address} {.spec.podCIDR}{"\\n"}' |
while read -r name address subnet; do
  if [ -z "$subnet" ]; then continue; fi
  if [ "$name" != "$(hostname)" ]; then ip route replace "$subnet" via "$address"; continue; fi
  echo '{"cniVersion": "1.0.0", "name": "static-routes", "plugins": [
    {"type": "ptp", "ipam": {"type": "host-local", "subnet": "'$subnet'", "routes": [{"dst": "0.0.0.0/0"}]}},
    {"type": "portmap", "capabilities": {"portMappings": true}}]}' > $CONFIGURATION
done
"""
_DAEMON_SET = """
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: static-routes, namespace: kube-system}
spec:
  selector: {matchLabels: {app: static-routes}}
  template:
    metadata: {labels: {app: static-routes}}
    spec:
      hostNetwork: true
      serviceAccountName: kube-proxy  # which may watch nodes
      tolerations: [{operator: Exists}]
      volumes: [{name: node, hostPath: {path: /}}]
      containers: [{name: routes, securityContext: {privileged: true}}]
"""


class StaticRoutes(Cni):
    """The CNI object of this file; clusters.model.Cni says what each member is for."""

    name = "static_routes"
    versions = ("v1.0.0",)

    def features(self, profile: Profile) -> frozenset[Feature]:  # noqa: ARG002  there is one way
        return frozenset({Feature.ROUTED_PODS, Feature.HOST_PORT})

    def datapath(self, profile: Profile) -> Datapath:  # noqa: ARG002  there is one way
        return Datapath(RoutedVeth("veth"), plugin="ptp", files=(_CONFIGURATION,), follows_the_default_route=True)

    def upstream(self, profile: Profile, version: str) -> Objects:  # noqa: ARG002  there is one
        daemon_set = yaml.safe_load(_DAEMON_SET)
        words = f"CONFIGURATION={_CONFIGURATION} PODS={profile.pod_subnet[0]}\n{_SCRIPT}"
        daemon_set["spec"]["template"]["spec"]["containers"][0] |= {
            "image": OWN_IMAGE,
            "command": ["sh", "-c", _AS_THE_NODE, words],
            "volumeMounts": [{"name": "node", "mountPath": "/node"}],
        }
        return [daemon_set]


CNI = StaticRoutes()
