#!/bin/sh
# Updates, scales and breaks Tensorgate on a Kubernetes of three nodes in containers (kind), while clients ask: what `make
# swarm` does on Docker Swarm. Needs docker, kind and kubectl, and the images of the Compose file. Usage: run.sh
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cluster=tensorgate
kubectl() { command kubectl --context "kind-$cluster" --namespace tensorgate "$@"; }

kind create cluster --name "$cluster" --wait 120s --config "$here/cluster.yaml"
trap 'kind delete cluster --name "$cluster"' EXIT
kind load docker-image --name "$cluster" tensorgate-full
kubectl apply --kustomize "$here/../overlays/quick-start"
kubectl wait job/tensorgate-train --for=condition=complete --timeout=900s
kubectl rollout status deployment/tensorgate --timeout=600s
kubectl scale deployment/tensorgate --replicas=3
kubectl rollout status deployment/tensorgate --timeout=300s

kubectl create configmap load --from-file="$here/load.py"
kubectl apply --filename "$here/load.yaml"
kubectl wait pod --selector=app.kubernetes.io/name=load --for=condition=ready --timeout=120s

echo "a rolling update"
kubectl rollout restart deployment/tensorgate
kubectl rollout status deployment/tensorgate --timeout=300s
echo "scaled to 1, and to 3"
kubectl scale deployment/tensorgate --replicas=1
sleep 15
kubectl scale deployment/tensorgate --replicas=3
kubectl rollout status deployment/tensorgate --timeout=300s
echo "a pod is deleted, and another killed"
kubectl delete "$(kubectl get pods --selector=app.kubernetes.io/component=gateway --output=name | head -n 1)" --wait=false
sleep 15
kubectl delete "$(kubectl get pods --selector=app.kubernetes.io/component=gateway --output=name | tail -n 1)" \
  --grace-period=0 --force
kubectl rollout status deployment/tensorgate --timeout=300s
echo "a node is drained"
node=$(kubectl get pods --selector=app.kubernetes.io/component=gateway \
  --output=jsonpath='{.items[0].spec.nodeName}')
kubectl drain "$node" --ignore-daemonsets --delete-emptydir-data --timeout=180s
kubectl uncordon "$node"
kubectl wait job/load --for=condition=complete --timeout=300s
kubectl logs job/load
