package secretfile

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// mount is a line of /proc/self/mountinfo (proc_pid_mountinfo(5)).
type mount struct {
	point string // its folder
	root  string // the folder of its file system that it shows
	kind  string // of the file system
}

// mounts of this process, in the order of their creation; nil: no mount that matters.
type mounts []mount

// inPod is the variable that kubelet gives to every container.
const inPod = "KUBERNETES_SERVICE_HOST"

// readMounts returns nil outside a pod: on a machine with several users, they share a tmpfs
// too.
func readMounts() mounts {
	if os.Getenv(inPod) == "" {
		return nil
	}
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil // without mounts there is no exception for an emptyDir
	}
	return parseMounts(string(text))
}

func parseMounts(text string) (all mounts) {
	for _, line := range strings.Split(text, "\n") {
		head, tail, found := strings.Cut(line, " - ")
		fields, kind := strings.Fields(head), strings.Fields(tail)
		if !found || len(fields) < 5 || len(kind) == 0 {
			continue
		}
		all = append(all, mount{root: unescapeOctal(fields[3]), point: unescapeOctal(fields[4]), kind: kind[0]})
	}
	return all
}

// unescapeOctal undoes \040 and the like: spaces are written so.
func unescapeOctal(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+4 <= len(text) {
			if n, err := strconv.ParseUint(text[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// isEmptyDirAt reports whether the path, which has no symbolic links, is in an emptyDir of
// our pod. kubelet makes it on disk, and binds it from below its own folder, or as a
// tmpfs. A tmpfs with ..data is a Secret, ConfigMap or projected volume: its files have
// the modes of its manifest.
func (all mounts) isEmptyDirAt(path string) bool {
	var m *mount
	for i := range all {
		if isWithin(path, all[i].point) && (m == nil || len(all[i].point) >= len(m.point)) {
			m = &all[i]
		}
	}
	switch {
	case m == nil || m.point == "/":
		return false
	case strings.Contains(m.root, "/volumes/kubernetes.io~empty-dir/"):
		return true
	case m.kind != "tmpfs" || m.root != "/":
		return false
	}
	_, err := os.Lstat(filepath.Join(m.point, "..data"))
	return os.IsNotExist(err)
}

func isWithin(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}
