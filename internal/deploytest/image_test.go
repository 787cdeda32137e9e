//go:build container

package deploytest

import (
	"archive/tar"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const mostBytes = 48 << 20

func TestImage(t *testing.T) {
	var found []struct {
		Size   int64
		Config struct {
			User        string
			Entrypoint  []string
			Env         []string
			Labels      map[string]string
			Healthcheck struct{ Test []string }
		}
	}
	if err := json.Unmarshal([]byte(must(t, "image", "inspect", image)), &found); err != nil || len(found) != 1 {
		t.Fatalf("%d images: %v", len(found), err)
	}
	got := found[0]
	if got.Config.User != "65532:65532" {
		t.Errorf("it runs as %q, want 65532:65532", got.Config.User)
	}
	if s := strings.Join(got.Config.Entrypoint, " "); s != "/kfbus" {
		t.Errorf("entry point: got %s", s)
	}
	if s := strings.Join(got.Config.Healthcheck.Test, " "); s != "CMD /kfbus health" {
		t.Errorf("health check: got %s", s)
	}
	if got.Size > mostBytes {
		t.Errorf("it has %d bytes, want %d at most", got.Size, mostBytes)
	}
	for _, l := range []string{"title", "description", "source", "licenses", "version", "revision"} {
		if got.Config.Labels["org.opencontainers.image."+l] == "" {
			t.Errorf("it has no label %s", l)
		}
	}
	t.Logf("%.1f MiB", float64(got.Size)/(1<<20))
}

// TestImageHoldsTwoFiles: no shell and nothing else that would help an intruder, and no secret.
func TestImageHoldsTwoFiles(t *testing.T) {
	id := strings.TrimSpace(must(t, "create", image))
	t.Cleanup(func() { _, _ = docker("rm", "-f", id) })
	file := filepath.Join(t.TempDir(), "image.tar")
	must(t, "export", "-o", file, id)
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var got []string
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg && h.Size > 0 {
			got = append(got, h.Name)
			if h.Mode&0o6000 != 0 {
				t.Errorf("%s has mode %o", h.Name, h.Mode)
			}
		}
	}
	slices.Sort(got)
	if want := "etc/ssl/certs/ca-certificates.crt kfbus"; strings.Join(got, " ") != want {
		t.Errorf("it holds %v, want %s", got, want)
	}
}

// TestImageRunsRestricted: read-only, without any right, and says no when it is not healthy.
func TestImageRunsRestricted(t *testing.T) {
	restricted := []string{"run", "--rm", "--network", "none", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--pids-limit", "64", "-m", "64m"}
	out := must(t, append(restricted, image, "version")...)
	if !strings.HasPrefix(out, "kfbus ") {
		t.Errorf("version: got %q", out)
	}
	if out, err := docker(append(restricted, image, "health")...); err == nil || strings.Contains(out, "ready") {
		t.Errorf("health of a container that serves nothing: got %q, %v", out, err)
	}
	if _, err := docker(append(restricted, "--entrypoint", "/bin/sh", image, "-c", "true")...); err == nil {
		t.Error("it has a shell")
	}
}
