package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// An image is what a container runtime reads of an archive.
type image struct {
	tags  []string
	conf  imageConfig
	files map[string]string // path: mode and content
}

func readTar(t *testing.T, b []byte) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for r := tar.NewReader(bytes.NewReader(b)); ; {
		h, err := r.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if !h.ModTime.Equal(epoch) || h.Uid != 0 || h.Gid != 0 {
			t.Errorf("%s: time %v, owner %d:%d; want the epoch and root", h.Name, h.ModTime, h.Uid, h.Gid)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = content
	}
}

func readImage(t *testing.T, path string) image {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	parts := readTar(t, content)
	var index []manifest
	if err := json.Unmarshal(parts["manifest.json"], &index); err != nil || len(index) != 1 {
		t.Fatalf("manifest.json: %v, %d images", err, len(index))
	}
	img := image{tags: index[0].RepoTags, files: map[string]string{}}
	if err := json.Unmarshal(parts[index[0].Config], &img.conf); err != nil {
		t.Fatal(err)
	}
	layer := parts[index[0].Layers[0]]
	if want := "sha256:" + sum(layer); img.conf.RootFS.DiffIDs[0] != want {
		t.Errorf("diff id is %s, the layer is %s", img.conf.RootFS.DiffIDs[0], want)
	}
	for name, file := range readTar(t, layer) {
		if !strings.HasSuffix(name, "/") {
			img.files["/"+name] = string(file)
		}
	}
	return img
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}

// says reads the Dockerfile's final stage by eye, so to speak: with regular expressions
// that know this one file's form and nothing of the parser.
func says(t *testing.T, final, pattern string) [][]string {
	t.Helper()
	found := regexp.MustCompile(`(?m)`+pattern).FindAllStringSubmatch(final, -1)
	if found == nil {
		t.Fatalf("the Dockerfile's final stage has nothing like %s", pattern)
	}
	return found
}

func TestTheProjectsImageIsWhatItsDockerfileSays(t *testing.T) {
	dockerfile, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	_, final, ok := strings.Cut(string(dockerfile), "\nFROM scratch\n")
	if !ok {
		t.Fatal("the Dockerfile has no stage FROM scratch")
	}
	wantFiles := map[string]string{}
	stage := t.TempDir()
	for _, m := range says(t, final, `^COPY --from=build (.+) (\S+)$`) {
		for source := range strings.FieldsSeq(m[1]) {
			target := m[2]
			if strings.HasSuffix(target, "/") {
				target += filepath.Base(source)
			}
			write(t, filepath.Join(stage, source), "content of "+source)
			wantFiles[target] = "content of " + source
		}
	}
	wantLabels := map[string]string{}
	for _, m := range says(t, final, `(org\.\S+)="(.*?)"`) {
		wantLabels[m[1]] = strings.ReplaceAll(m[2], "$VERSION", "v9.9.9")
	}
	for _, arch := range []string{"amd64", "arm64"} {
		t.Run(arch, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "image.tar")
			args := []string{"-f", "../../Dockerfile", "-arch", arch, "-from", "build=" + stage, "-build-arg", "VERSION=v9.9.9", "-t", "example.com/a/b:c", "-o", out}
			if err := run(args); err != nil {
				t.Fatal(err)
			}
			img := readImage(t, out)
			if diff := cmp.Diff([]string{"example.com/a/b:c"}, img.tags); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(wantFiles, img.files); diff != "" {
				t.Errorf("files (-Dockerfile +image):\n%s", diff)
			}
			if diff := cmp.Diff(wantLabels, img.conf.Config.Labels); diff != "" {
				t.Errorf("labels (-Dockerfile +image):\n%s", diff)
			}
			if want := says(t, final, `^USER (.+)$`)[0][1]; img.conf.Config.User != want {
				t.Errorf("user is %s, the Dockerfile says %s", img.conf.Config.User, want)
			}
			entrypoint, err := json.Marshal(img.conf.Config.Entrypoint)
			if err != nil {
				t.Fatal(err)
			}
			if want := says(t, final, `^ENTRYPOINT (.+)$`)[0][1]; string(entrypoint) != want {
				t.Errorf("entrypoint is %s, the Dockerfile says %s", entrypoint, want)
			}
			if img.conf.Architecture != arch || img.conf.OS != "linux" {
				t.Errorf("platform is %s/%s, want linux/%s", img.conf.OS, img.conf.Architecture, arch)
			}
		})
	}
}

func TestEqualInputGivesEqualBytes(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "tree", "b", "two"), "2")
	write(t, filepath.Join(dir, "tree", "a"), "1")
	write(t, filepath.Join(dir, "Dockerfile"), "FROM scratch\nCOPY tree /srv\nLABEL b=2 a=1\n")
	var got [2][]byte
	for i := range got {
		out := filepath.Join(dir, "out.tar")
		if err := run([]string{"-f", filepath.Join(dir, "Dockerfile"), "-context", dir, "-t", "example.com/x:1", "-o", out}); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		got[i] = content
		if err := os.Chtimes(filepath.Join(dir, "tree", "a"), epoch, epoch); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got[0], got[1]) {
		t.Error("the second image differs from the first")
	}
	want := map[string]string{"/srv/a": "1", "/srv/b/two": "2"}
	if diff := cmp.Diff(want, readImage(t, filepath.Join(dir, "out.tar")).files); diff != "" {
		t.Error(diff)
	}
}

func TestParseFinalStage(t *testing.T) {
	got, err := parseFinalStage(`
ARG GLOBAL=x
FROM golang AS build
RUN make && \
    echo done
# the last one counts
FROM scratch AS final
ARG VERSION=dev
ARG NAME="a b"
copy --from=build /out/a \
     # a comment between
     /out/b /bin/
ENV MODE=fast HOME="/home dir"
LABEL version=${VERSION} quoted="say \"$NAME\""
WORKDIR /work
EXPOSE 80 53/udp
USER 1:2
CMD ["-v"]
`, map[string]string{"VERSION": "1"})
	if err != nil {
		t.Fatal(err)
	}
	want := &stage{
		Copies:     []copyInstruction{{From: "build", Sources: []string{"/out/a", "/out/b"}, Target: "/bin/"}},
		User:       "1:2",
		WorkingDir: "/work",
		Cmd:        []string{"-v"},
		Env:        []string{"MODE=fast", "HOME=/home dir"},
		Labels:     map[string]string{"version": "1", "quoted": `say "a b"`},
		Ports:      map[string]struct{}{"80/tcp": {}, "53/udp": {}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestParseFinalStageRefuses(t *testing.T) {
	for _, c := range []struct{ text, says string }{
		{"", "1: no FROM"},
		{"FROM scratch AS a\nFROM debian", "2: the final stage starts FROM debian"},
		{"FROM scratch\nRUN make", "2: RUN: this instruction needs docker"},
		{"FROM scratch\n\nENTRYPOINT /a b", "3: ENTRYPOINT: /a b is not of the form"},
		{"FROM scratch\nCOPY /a", "2: COPY: wants a source and a target"},
		{"FROM scratch\nCOPY /a /b /c", "2: COPY: several sources need a target that ends with /"},
		{"FROM scratch\nCOPY --chown=1 /a /b", "2: COPY: the option --chown is not understood"},
		{"FROM scratch\nLABEL nothing", `2: LABEL: "nothing" is not name=value`},
		{"# escape=`\nFROM scratch", "1: the escape directive is not understood"},
	} {
		t.Run(c.says, func(t *testing.T) {
			_, err := parseFinalStage(c.text, nil)
			if err == nil || !strings.HasPrefix(err.Error(), c.says) {
				t.Errorf("error is %v, want %s", err, c.says)
			}
		})
	}
}

func TestACopyFromAnUnknownStageNamesTheFlag(t *testing.T) {
	s := &stage{Copies: []copyInstruction{{From: "build", Sources: []string{"/a"}, Target: "/a"}}}
	if _, err := s.layer(".", nil); err == nil || !strings.Contains(err.Error(), "-from build=DIR") {
		t.Errorf("error is %v", err)
	}
}
