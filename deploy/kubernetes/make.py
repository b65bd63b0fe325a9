"""Makes the alert rules for the Prometheus operator, and the templates of the Helm chart, of what is in this folder.

``python deploy/kubernetes/make.py KUBECTL`` writes them; with ``--check`` it fails when they are not what their sources
say. The templates are what kustomize makes of the base and the components, with the chart's values put into the places
where one cluster differs from the next.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
RULES = HERE.parent / "prometheus" / "rules"
TEMPLATES = HERE.parent / "helm" / "tensorgate" / "templates"
_HEAD = """\
# Made of deploy/prometheus/rules: make kubernetes
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: tensorgate
spec:
  groups:
"""
_FORMS = {
    "embedded": (),
    "stores": ("stores",),
    "tensorflow-serving": ("tensorflow-serving",),
    "tensorflow-serving-gpu": ("tensorflow-serving", "gpu"),
    "cells": ("tensorflow-serving", "cells"),
    "cells-gpu": ("tensorflow-serving", "gpu", "cells"),
}
_PARTS = {
    "monitoring": ".Values.monitoring",
    "hpa": 'eq .Values.autoscaling.by "hpa"',
    "keda": 'eq .Values.autoscaling.by "keda"',
    "gateway-api": ".Values.routes.enabled",
}
"""Components that stand by themselves, and when the chart has them."""
_HASHED = r"(tensorgate|tfserving)-[a-z0-9]{10}\b"
"""The name of a ConfigMap as kustomize makes it; the chart has a checksum in the pods in its place."""
_VALUES = (
    (r"(image: )tensorgate-full$", "{{ .Values.images.full }}"),
    (r"(image: )tensorgate$", "{{ .Values.images.gateway }}"),
    (r"(image: )tensorflow/serving:[\d.]+$", "{{ .Values.images.tensorflowServing }}"),
    (r"(image: )tensorflow/serving:[\d.]+-gpu$", "{{ .Values.images.tensorflowServingGpu }}"),
    (r"^(  replicas: )2$", "{{ .Values.replicas.tensorflowServing }}"),
    (
        r"^()  replicas: 3$",
        '{{- if eq .Values.autoscaling.by "none" }}\n  replicas: {{ .Values.replicas.gateway }}\n{{- end }}',
    ),
    (r"^(  - )ReadWriteMany$", "{{ .Values.models.accessMode }}"),
    (r"(storage: )10Gi$", "{{ .Values.models.size }}"),
    (r"(minReplica\w+: )2$", "{{ .Values.autoscaling.minReplicas }}"),
    (r"(maxReplica\w+: )10$", "{{ .Values.autoscaling.maxReplicas }}"),
    (r'((?:averageValue|threshold): )"8"$', "{{ .Values.autoscaling.load | quote }}"),
    (r"(serverAddress: )\S+$", "{{ .Values.autoscaling.prometheus }}"),
    (r'(\{namespace=")tensorgate(?=")', "{{ .Release.Namespace }}"),
    (r"^(  - name: )edge$", "{{ .Values.routes.gateway.name }}"),
    (r"(namespace: )gateway-system$", "{{ .Values.routes.gateway.namespace }}"),
    (r"^(  - )models\.example\.com$", "{{ .Values.routes.restHost }}"),
    (r"^(  - )grpc\.models\.example\.com$", "{{ .Values.routes.grpcHost }}"),
    (r"^(  namespace: )tensorgate$", "{{ .Release.Namespace }}"),
)
"""What the chart's values stand in the place of: a pattern, of which the first group stays, and the expression."""
_GIVEN = "{{ merge (deepCopy .Values.settings) (fromYaml `%s`) | toYaml | indent 2 }}\n"
_SUM = '        checksum/settings: {{ printf "%s %s" .Chart.Version (toYaml .Values.settings) | sha256sum }}'
_RESOURCES = "{{ mergeOverwrite (fromYaml `%s`) .Values.resources.%s | toYaml | indent 10 }}\n"


def prometheus_rule() -> str:
    """Returns the rules of all files as one resource: their groups, as they stand there, one step further in."""
    lines = []
    for file in sorted(RULES.glob("*.yml")):
        _, _, groups = file.read_text("utf-8").partition("groups:\n")
        lines += [f"  {line}" if line else "" for line in groups.splitlines()]
    return _HEAD + "\n".join(lines) + "\n"


def templates(kubectl: str) -> dict[str, str]:
    """Returns the chart's templates by their names."""
    made = {}
    for form, components in _FORMS.items():
        text = _template(_rendered(kubectl, ["../base"], components))
        made[form] = f'{{{{- if eq .Values.form "{form}" }}}}\n{text}{{{{- end }}}}\n'
    for component, condition in _PARTS.items():
        text = _template(_rendered(kubectl, [], [component]))
        made[component] = f"{{{{- if {condition} }}}}\n{text}{{{{- end }}}}\n"
    head = "{{- /* Made of deploy/kubernetes: make kubernetes */ -}}\n"
    return {f"{name}.yaml": head + text for name, text in made.items()}


def _rendered(kubectl: str, resources: list[str], components: tuple[str, ...] | list[str]) -> str:
    with tempfile.TemporaryDirectory(dir=HERE, prefix=".make-") as name:
        named = "".join(f"  - ../components/{component}\n" for component in components)
        text = "namespace: tensorgate\n" + f"resources: [{', '.join(resources)}]\n" * bool(resources)
        Path(name, "kustomization.yaml").write_text(text + (f"components:\n{named}" if named else ""))
        done = subprocess.run([kubectl, "kustomize", name], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout


def _template(manifests: str) -> str:
    """Returns what kustomize made with the chart's values in it."""
    text = manifests.replace("{{", '{{ "{{" }}')
    text = re.sub(_HASHED, r"\1", text)
    for pattern, value in _VALUES:
        text = re.sub(pattern, rf"\g<1>{value}", text, flags=re.MULTILINE)
    return "---\n".join(map(_with_blocks, text.split("---\n")))


def _with_blocks(document: str) -> str:
    """Returns a resource with what whole blocks of it depend on values for."""
    kind = re.search(r"^kind: (\w+)$", document, re.MULTILINE)
    return document if kind is None else _BLOCKS.get(kind[1], str)(document)


def _after(line: str, document: str, *blocks: str) -> str:
    """Returns the document with blocks after the first such line, if it has one."""
    return document.replace(f"\n{line}\n", "\n".join((f"\n{line}", *blocks, "")), 1)


def _block(value: str, indent: int, key: str = "") -> str:
    """Returns what a value has, a list or a mapping, by itself or below a key; nothing where it has nothing."""
    head = f"\n{' ' * indent}{key}:" if key else ""
    depth = indent + 2 if key else indent
    return f"{{{{- with .Values.{value} }}}}{head}\n{{{{ toYaml . | indent {depth} }}}}\n{{{{- end }}}}"


def _claim(document: str) -> str:
    """Makes the claim one that may be there already, and of a class."""
    of_class = "{{- with .Values.models.storageClassName }}\n  storageClassName: {{ . }}\n{{- end }}"
    return f"{{{{- if .Values.models.create }}}}\n{_after('spec:', document, of_class)}{{{{- end }}}}\n"


def _account(document: str) -> str:
    """Gives the account of all pods its annotations, and the secrets that images are pulled with."""
    document = _after("metadata:", document, _block("serviceAccountAnnotations", 2, "annotations"))
    return _after("kind: ServiceAccount", document, _block("imagePullSecrets", 0, "imagePullSecrets"))


def _settings(document: str) -> str:
    """Puts an operator's settings over those of the gateways."""
    if "\n  name: tensorgate\n" not in document:
        return document
    given, rest = document.removeprefix("apiVersion: v1\ndata:\n").split("kind: ConfigMap\n")
    return "apiVersion: v1\ndata:\n" + _GIVEN % _outdented(given, 2) + "kind: ConfigMap\n" + rest


def _pods(document: str) -> str:
    """Lets an operator say where pods run, what they may take, and what gateways are given beside their settings."""
    names = ["gateway", "tensorflowServing"]
    if "\n  name: tensorgate\n" not in document:
        names = names[1:]
    else:
        document = _after("      annotations:", document, _SUM)
        document = _after("            name: tensorgate", document, _block("extraEnvFrom", 8))
        document = _after("        volumeMounts:", document, _block("extraVolumeMounts", 8))
        document = _after("      volumes:", document, _block("extraVolumes", 6))
    own, tolerations = "      automountServiceAccountToken: false", f"tolerations.{names[0]}"
    document = _after(own, document, _block(f"nodeSelector.{names[0]}", 6, "nodeSelector"))
    if "\n      tolerations:\n" in document:
        document = _after("      tolerations:", document, _block(tolerations, 6))
    else:
        document = _after(own, document, _block(tolerations, 6, "tolerations"))
    containers = iter(names)
    return re.sub(
        r"(?<=\n        resources:\n)((?: {10}.*\n)+)",
        lambda found: _RESOURCES % (_outdented(found[1], 10), next(containers)),
        document,
    )


def _outdented(text: str, by: int) -> str:
    return re.sub(f"^ {{{by}}}", "", text, flags=re.MULTILINE)


_BLOCKS = {"PersistentVolumeClaim": _claim, "ServiceAccount": _account, "ConfigMap": _settings, "Deployment": _pods}


def main(arguments: list[str]) -> int:
    """Writes all files, or compares them; returns the exit status."""
    kubectl, *options = arguments
    rules = HERE / "components" / "monitoring" / "rules.yaml"
    made = {rules: prometheus_rule()}
    if options != ["--check"]:
        rules.write_text(made[rules], "utf-8")  # kustomize reads it
    made |= {TEMPLATES / name: text for name, text in templates(kubectl).items()}
    if options != ["--check"]:
        for file, text in made.items():
            file.write_text(text, "utf-8")
        return 0
    old = [file for file, text in made.items() if not file.exists() or file.read_text("utf-8") != text]
    for file in old:
        sys.stderr.write(f"{file} is not what its sources say: make kubernetes\n")
    return bool(old)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
