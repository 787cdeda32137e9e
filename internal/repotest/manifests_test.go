package repotest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// object is what the rules look at in a manifest.
type object struct {
	Kind     string
	Metadata struct{ Name, Namespace string }
	Data     map[string]string
	Spec     struct {
		Selector, PodSelector selector
		PolicyTypes           []string
		Egress                []rule
		Template              struct {
			Metadata struct{ Labels map[string]string }
			Spec     pod
		}
	}
	StringData map[string]string `json:"stringData"`
}

type selector struct {
	MatchLabels      map[string]string
	MatchExpressions []struct {
		Key    string
		Values []string
	}
}

type rule struct {
	To []struct{ IPBlock struct{ CIDR string } }
}

type pod struct {
	HostNetwork, HostPID, HostIPC bool
	AutomountServiceAccountToken  *bool
	ServiceAccountName            string
	SecurityContext               struct {
		RunAsNonRoot   bool
		RunAsUser      int64
		SeccompProfile struct{ Type string }
	}
	Containers []container
	Volumes    []struct {
		Name      string
		HostPath  any
		Secret    *struct{ SecretName string }
		Projected struct {
			Sources []struct{ Secret struct{ Name string } }
		}
	}
}

type container struct {
	Image           string
	SecurityContext struct {
		AllowPrivilegeEscalation *bool
		Privileged               bool
		ReadOnlyRootFilesystem   bool
		Capabilities             struct{ Drop, Add []string }
	}
	EnvFrom []struct {
		SecretRef any
	}
	Env []struct {
		Name, Value string
		ValueFrom   struct {
			SecretKeyRef    *struct{ Name, Key string }
			ConfigMapKeyRef *struct{ Name, Key string }
		}
	}
	Resources                                   struct{ Requests, Limits map[string]string }
	StartupProbe, LivenessProbe, ReadinessProbe any
}

func (s selector) picks(labels map[string]string) bool {
	for k, v := range s.MatchLabels {
		if labels[k] != v {
			return false
		}
	}
	for _, e := range s.MatchExpressions {
		if !slices.Contains(e.Values, labels[e.Key]) {
			return false
		}
	}
	return true
}

// own is true for a selector that names pods, not all of them.
func (s selector) own(labels map[string]string) bool {
	return len(s.MatchLabels)+len(s.MatchExpressions) > 0 && s.picks(labels)
}

func (o object) workload() bool {
	return slices.Contains([]string{"Deployment", "StatefulSet", "DaemonSet", "Job"}, o.Kind)
}

// kubectl says why it skips where there is none, and fails where KF_REQUIRE_KUBECTL=1 asks for it.
func kubectl(t *testing.T, stdin []byte, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath("kubectl"); err != nil {
		if os.Getenv("KF_REQUIRE_KUBECTL") == "1" {
			t.Fatalf("%v (KF_REQUIRE_KUBECTL=1)", err)
		}
		t.Skipf("the manifests are not rendered: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "kubectl", args...)
	var errs bytes.Buffer
	c.Stdin, c.Stderr, c.WaitDelay = bytes.NewReader(stdin), &errs, 5*time.Second
	out, err := c.Output()
	if err != nil {
		t.Fatalf("kubectl %s: %v: %s", strings.Join(args, " "), err, errs.Bytes())
	}
	return out
}

// parse reads manifests with kubectl, which needs no cluster for this.
func parse(t *testing.T, manifests []byte) []object {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(kubectl(t, manifests, "annotate", "--local", "-f", "-", "read=true", "-o", "json")))
	var out []object
	for {
		var o object
		if err := dec.Decode(&o); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		out = append(out, o)
	}
}

// hardening says what a pod should not be, after Pod Security "restricted" and a little more.
func (o object) hardening() []string {
	var out []string
	wrong := func(when bool, what string) {
		if when {
			out = append(out, what)
		}
	}
	p := o.Spec.Template.Spec
	wrong(p.HostNetwork || p.HostPID || p.HostIPC, "shares the host's")
	wrong(p.AutomountServiceAccountToken == nil || *p.AutomountServiceAccountToken, "has a token of the cluster")
	wrong(p.ServiceAccountName == "", "has no account of its own")
	wrong(!p.SecurityContext.RunAsNonRoot || p.SecurityContext.RunAsUser == 0, "may run as root")
	wrong(p.SecurityContext.SeccompProfile.Type != "RuntimeDefault", "has no seccomp profile")
	wrong(len(p.Containers) == 0, "has no container")
	for _, v := range p.Volumes {
		wrong(v.HostPath != nil, "mounts the host's "+v.Name)
	}
	for _, c := range p.Containers {
		s := c.SecurityContext
		wrong(s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || s.Privileged, "may gain privileges")
		wrong(!s.ReadOnlyRootFilesystem, "can write to its root")
		wrong(!slices.Equal(s.Capabilities.Drop, []string{"ALL"}) || len(s.Capabilities.Add) > 0, "has capabilities")
		for _, r := range []string{"cpu", "memory"} {
			wrong(c.Resources.Limits[r] == "" || c.Resources.Requests[r] == "", "has no bound of "+r)
		}
		_, tag, _ := strings.Cut(c.Image[strings.LastIndex(c.Image, "/")+1:], ":")
		wrong(tag == "" || tag == "latest", "has no version: "+c.Image)
		wrong(o.Kind != "Job" && (c.StartupProbe == nil || c.LivenessProbe == nil || c.ReadinessProbe == nil), "lacks a probe")
		for _, e := range c.EnvFrom {
			wrong(e.SecretRef != nil, "has a whole Secret in its environment")
		}
		for _, e := range c.Env {
			secret := e.ValueFrom.SecretKeyRef != nil || secretName.MatchString(e.Name) && e.Value != "xkey"
			wrong(secret && e.Name != "KF_NATS_ENCRYPTION_KEY", "has the secret "+e.Name+" in its environment")
		}
	}
	return out
}

var (
	secretName = regexp.MustCompile(`(SECRET|_TOKEN|AES_KEY|SEAL_KEY|OPEN_KEY|PASSWORD)$`)
	documented = regexp.MustCompile("(?m)^\\| `(KF_[A-Z_]+)` \\|")
)

// variables are those of the documents' tables, which are made from the code, and the two of the NATS servers.
func variables(t *testing.T) []string {
	t.Helper()
	out := []string{"KF_NATS_SERVER_NAME", "KF_NATS_ENCRYPTION_KEY"}
	pages, err := filepath.Glob("../../services/*/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range append(pages, "../../README.md", "../../docs/operations.md") {
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range documented.FindAllSubmatch(text, -1) {
			out = append(out, string(m[1]))
		}
	}
	return out
}

// references says which variables and secrets of a workload are not there; secrets is what exists: name/key.
func (o object) references(known []string, secrets map[string]bool) []string {
	var out []string
	p := o.Spec.Template.Spec
	var mounted []string
	for _, v := range p.Volumes {
		if v.Secret != nil {
			mounted = append(mounted, v.Secret.SecretName)
		}
		for _, s := range v.Projected.Sources {
			mounted = append(mounted, s.Secret.Name)
		}
	}
	has := func(name, key string) bool { return secrets[name+"/"+key] }
	for _, c := range p.Containers {
		for _, e := range c.Env {
			if strings.HasPrefix(e.Name, "KF_") && !slices.Contains(known, e.Name) {
				out = append(out, "nothing reads "+e.Name)
			}
			if r := e.ValueFrom.ConfigMapKeyRef; r != nil && !has(r.Name, r.Key) {
				out = append(out, r.Name+"/"+r.Key+" is not in the example")
			}
			if r := e.ValueFrom.SecretKeyRef; r != nil && !has(r.Name, r.Key) {
				out = append(out, r.Name+"/"+r.Key+" is not in the example")
			}
			if key, ok := strings.CutPrefix(e.Value, "/run/secrets/kfbus/"); ok && !slices.ContainsFunc(mounted, func(name string) bool { return has(name, key) }) {
				out = append(out, e.Name+" names "+key+", which no mounted secret has")
			}
		}
	}
	return out
}

// network says which of the ways that a workload needs closed or guarded are not.
func network(o object, all []object) []string {
	labels := o.Spec.Template.Metadata.Labels
	var denied, own, budget, internet bool
	for _, x := range all {
		switch {
		case x.Kind == "PodDisruptionBudget":
			budget = budget || x.Spec.Selector.own(labels)
		case x.Kind != "NetworkPolicy":
		case x.Spec.PodSelector.own(labels):
			own = true
			for _, e := range x.Spec.Egress {
				internet = internet || len(e.To) == 0
				for _, to := range e.To {
					internet = internet || to.IPBlock.CIDR == "0.0.0.0/0"
				}
			}
		default:
			denied = denied || x.Spec.PodSelector.picks(labels) && len(x.Spec.PolicyTypes) == 2 && len(x.Spec.Egress) == 0
		}
	}
	var out []string
	for what, wrong := range map[string]bool{
		"is not under a default deny":          !denied,
		"has no network policy of its own":     !own,
		"has no disruption budget":             !budget && o.Kind != "Job",
		"gets to the internet, but calls none": internet && !slices.Contains([]string{"syncer", "sender", "tokenkeeper"}, o.Metadata.Name),
	} {
		if wrong {
			out = append(out, what)
		}
	}
	return out
}

func exampleSecrets(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("../../deploy/k8s/secrets.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, o := range parse(t, text) {
		for k := range o.StringData {
			out[o.Metadata.Name+"/"+k] = true
		}
		for k := range o.Data {
			out[o.Metadata.Name+"/"+k] = true
		}
	}
	return out
}

// TestManifests holds each overlay to what a pod here may be, name and reach.
func TestManifests(t *testing.T) {
	known, secrets := variables(t), exampleSecrets(t)
	for overlay, want := range map[string][]string{
		"local":      {"ingress", "nats", "sender", "sim", "syncer", "tokenkeeper", "topology"},
		"production": {"ingress", "nats", "sender", "syncer", "tokenkeeper", "topology"},
		"external":   {"ingress", "sender", "syncer", "tokenkeeper", "topology"},
	} {
		t.Run(overlay, func(t *testing.T) {
			dir := "../../deploy/k8s/overlays/" + overlay
			if overlay == "external" {
				dir = external(t)
			}
			all := parse(t, kubectl(t, nil, "kustomize", dir))
			var names []string
			for _, o := range all {
				if o.Kind != "Namespace" && o.Metadata.Namespace != "kfbus" {
					t.Errorf("%s %s is in the namespace %q", o.Kind, o.Metadata.Name, o.Metadata.Namespace)
				}
				if o.Kind == "ConfigMap" {
					for k := range o.Data {
						if strings.HasPrefix(k, "KF_") && (!slices.Contains(known, k) || secretName.MatchString(k)) {
							t.Errorf("ConfigMap %s: %s is read by nothing, or a secret", o.Metadata.Name, k)
						}
					}
				}
				if !o.workload() {
					continue
				}
				names = append(names, o.Metadata.Name)
				for _, what := range slices.Concat(o.hardening(), o.references(known, secrets), network(o, all)) {
					t.Errorf("%s %s: %s", o.Kind, o.Metadata.Name, what)
				}
			}
			if slices.Sort(names); !slices.Equal(names, want) {
				t.Errorf("got the workloads %v, want %v", names, want)
			}
		})
	}
}

// external is the base with NATS elsewhere, and with monitoring.
func external(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	k8s, err := filepath.Abs("../../deploy/k8s")
	if err == nil {
		k8s, err = filepath.Rel(dir, k8s)
	}
	if err != nil {
		t.Fatal(err)
	}
	text := "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: kfbus\nresources: [" + k8s + "/base]\ncomponents: [" + k8s +
		"/components/external-nats, " + k8s + "/components/monitoring]\nimages: [{name: kfbus, newTag: local}]\n"
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestBrokenManifests breaks each rule on purpose, in what the overlay local says.
func TestBrokenManifests(t *testing.T) {
	known, secrets := variables(t), exampleSecrets(t)
	good := string(kubectl(t, nil, "kustomize", "../../deploy/k8s/overlays/local"))
	for _, c := range []struct{ old, broken, want string }{
		{"runAsNonRoot: true", "runAsNonRoot: false", "may run as root"},
		{"runAsUser: 65532", "runAsUser: 0", "may run as root"},
		{"allowPrivilegeEscalation: false", "privileged: true", "may gain privileges"},
		{"readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "can write to its root"},
		{"- ALL", "- NET_RAW", "has capabilities"},
		{"type: RuntimeDefault", "type: Unconfined", "has no seccomp profile"},
		{"      automountServiceAccountToken: false", "      automountServiceAccountToken: true", "has a token of the cluster"},
		{"enableServiceLinks: false", "hostNetwork: true", "shares the host's"},
		{"image: kfbus:local", "image: kfbus:latest", "has no version: kfbus:latest"},
		{"image: kfbus:local", "image: kfbus", "has no version: kfbus"},
		{"            memory: 256Mi", "            hugepages-2Mi: 256Mi", "has no bound of memory"},
		{"livenessProbe:", "lifecycle:", "lacks a probe"},
		{"name: GOMEMLIMIT", "name: KF_GOMEMLIMIT", "nothing reads KF_GOMEMLIMIT"},
		{"name: KF_TOKENKEEPER_SECRET_FILE", "name: KF_TOKENKEEPER_SECRET", "has the secret KF_TOKENKEEPER_SECRET in its environment"},
		{"kfbus/corpsecret", "kfbus/open_key", "KF_TOKENKEEPER_SECRET_FILE names open_key, which no mounted secret has"},
		{"key: keeper", "key: keepers", "token-keys/keepers is not in the example"},
		{"  podSelector: {}\n  policyTypes:\n  - Ingress\n", "  podSelector: {}\n  policyTypes:\n", "is not under a default deny"},
		{"kind: PodDisruptionBudget", "kind: Binding", "has no disruption budget"},
		{"kind: NetworkPolicy", "kind: Binding", "has no network policy of its own"},
		{"  egress:\n  - ports:\n    - port: 4222\n", "  egress:\n  - to: [{ipBlock: {cidr: 0.0.0.0/0}}]\n  - ports:\n    - port: 4222\n", "gets to the internet, but calls none"},
	} {
		t.Run(c.want, func(t *testing.T) {
			if !strings.Contains(good, c.old) {
				t.Fatalf("nothing to break: no %q", c.old)
			}
			all := parse(t, []byte(strings.ReplaceAll(good, c.old, c.broken)))
			var got []string
			for _, o := range all {
				if o.workload() {
					got = slices.Concat(got, o.hardening(), o.references(known, secrets), network(o, all))
				}
			}
			if !slices.Contains(got, c.want) {
				t.Errorf("got %q, want %q among them", got, c.want)
			}
		})
	}
}
