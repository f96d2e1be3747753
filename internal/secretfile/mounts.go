package secretfile

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// mount is a line of /proc/self/mountinfo (proc_pid_mountinfo(5)).
type mount struct {
	point string // where it is
	root  string // which folder of its file system it shows
	kind  string // of the file system
}

// mounts of this process, in the order in which they were made; nil: none that matters.
type mounts []mount

// inPod is the variable that kubelet gives to every container.
const inPod = "KUBERNETES_SERVICE_HOST"

// readMounts gives nothing outside a pod: on a machine that people share, a tmpfs is one
// that they share.
func readMounts() mounts {
	if os.Getenv(inPod) == "" {
		return nil
	}
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil // then there is no exception
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

// unescapeOctal undoes \040 and the like, as which spaces are written.
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
// our pod. kubelet makes one on disk, and binds it from below its own folder, or as a
// tmpfs. A tmpfs with ..data is a Secret, ConfigMap or projected volume: its files have
// the modes that its manifest says.
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
