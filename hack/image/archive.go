package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// epoch is the time of everything in the image: equal input, equal bytes.
var epoch = time.Unix(0, 0).UTC()

// layer is the tar of what the stage copies, owned by root as COPY has it. from holds the
// directory of each earlier stage.
func (s *stage) layer(context string, from map[string]string) ([]byte, error) {
	var buf bytes.Buffer
	l := layerWriter{tar: tar.NewWriter(&buf), dirs: map[string]bool{"/": true}}
	for _, c := range s.Copies {
		root := context
		if c.From != "" {
			dir, ok := from[c.From]
			if !ok {
				return nil, fmt.Errorf("COPY --from=%s: say where its files are with -from %s=DIR", c.From, c.From)
			}
			root = dir
		}
		for _, source := range c.Sources {
			if err := l.copy(filepath.Join(root, source), c.Target); err != nil {
				return nil, err
			}
		}
	}
	if err := l.tar.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// A layerWriter writes a layer; dirs are the directories it has.
type layerWriter struct {
	tar  *tar.Writer
	dirs map[string]bool
}

// copy adds a file, or what a directory holds, the way COPY places it.
func (l *layerWriter) copy(source, target string) error {
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return l.copyDir(source, target)
	}
	if strings.HasSuffix(target, "/") {
		target = path.Join(target, filepath.Base(source))
	}
	return l.file(source, path.Join("/", target))
}

func (l *layerWriter) copyDir(source, target string) error {
	return filepath.WalkDir(source, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !d.Type().IsRegular() {
			return fmt.Errorf("%s is no regular file", name)
		}
		rel, err := filepath.Rel(source, name)
		if err != nil {
			return err
		}
		return l.file(name, path.Join("/", target, filepath.ToSlash(rel)))
	})
}

func (l *layerWriter) file(source, target string) error {
	content, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	if err := l.mkdir(path.Dir(target)); err != nil {
		return err
	}
	return writeFile(l.tar, strings.TrimPrefix(target, "/"), info.Mode().Perm(), content)
}

func (l *layerWriter) mkdir(dir string) error {
	if l.dirs[dir] {
		return nil
	}
	if err := l.mkdir(path.Dir(dir)); err != nil {
		return err
	}
	l.dirs[dir] = true
	return l.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: strings.TrimPrefix(dir, "/") + "/", Mode: 0o755, ModTime: epoch})
}

// The documents of a docker-archive, as far as a static image needs them.
type (
	imageConfig struct {
		Architecture string          `json:"architecture"`
		OS           string          `json:"os"`
		Created      time.Time       `json:"created"`
		Config       containerConfig `json:"config"`
		RootFS       rootFS          `json:"rootfs"`
		History      []history       `json:"history"`
	}
	containerConfig struct {
		User         string              `json:"User,omitempty"`
		Env          []string            `json:"Env,omitempty"`
		Entrypoint   []string            `json:"Entrypoint,omitempty"`
		Cmd          []string            `json:"Cmd,omitempty"`
		WorkingDir   string              `json:"WorkingDir,omitempty"`
		ExposedPorts map[string]struct{} `json:"ExposedPorts,omitempty"`
		Labels       map[string]string   `json:"Labels,omitempty"`
	}
	rootFS struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	}
	history struct {
		Created   time.Time `json:"created"`
		CreatedBy string    `json:"created_by"`
	}
	manifest struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
)

// archive writes the docker-archive.
func archive(w io.Writer, tag, arch string, s *stage, layer []byte) error {
	if !strings.Contains(tag, ":") {
		return errors.New("-t wants NAME:TAG")
	}
	layerSum := sum(layer)
	config, err := json.Marshal(imageConfig{
		Architecture: arch, OS: "linux", Created: epoch,
		Config: containerConfig{
			User: s.User, Entrypoint: s.Entrypoint, Cmd: s.Cmd, WorkingDir: workingDir(s.WorkingDir), ExposedPorts: s.Ports, Labels: s.Labels,
			Env: append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, s.Env...),
		},
		RootFS:  rootFS{Type: "layers", DiffIDs: []string{"sha256:" + layerSum}},
		History: []history{{Created: epoch, CreatedBy: "hack/image"}},
	})
	if err != nil {
		return err
	}
	index, err := json.Marshal([]manifest{{Config: sum(config) + ".json", RepoTags: []string{tag}, Layers: []string{layerSum + ".tar"}}})
	if err != nil {
		return err
	}
	tw := tar.NewWriter(w)
	return errors.Join(
		writeFile(tw, sum(config)+".json", 0o644, config),
		writeFile(tw, layerSum+".tar", 0o644, layer),
		writeFile(tw, "manifest.json", 0o644, index),
		tw.Close())
}

func workingDir(dir string) string {
	if dir == "" {
		return "/"
	}
	return dir
}

func writeFile(w *tar.Writer, name string, mode fs.FileMode, content []byte) error {
	header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: int64(mode), Size: int64(len(content)), ModTime: epoch}
	if err := w.WriteHeader(header); err != nil {
		return err
	}
	_, err := w.Write(content)
	return err
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}
