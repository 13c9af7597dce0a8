package containerlogs

import (
	"cmp"
	"maps"
	"slices"
	"strconv"

	"github.com/logsource/operator/collector"
)

// newStream says what the lines of one run of a container have in common. pod is nil
// when nothing is known of it but its directory.
func newStream(p *podDir, container string, restart int, node string, pod *collector.Pod, tags []collector.Attr) *collector.Stream {
	group := []collector.Attr{
		{Name: "namespace", Value: p.namespace},
		{Name: "pod", Value: p.podName},
		{Name: "pod_uid", Value: p.uid},
		{Name: "container", Value: container},
		{Name: "restart_count", Value: strconv.Itoa(restart)},
	}
	if pod != nil {
		node = cmp.Or(pod.Node, node)
	}
	if node != "" {
		group = append(group, collector.Attr{Name: "node", Value: node})
	}
	if pod != nil {
		group = append(group, podAttrs(pod)...)
	}
	return &collector.Stream{
		Attrs:    append([]collector.Attr{{Name: "kubernetes", Group: group}}, tags...),
		Variants: streamVariants,
	}
}

func podAttrs(pod *collector.Pod) (attrs []collector.Attr) {
	if len(pod.Labels) > 0 {
		var labels []collector.Attr
		for _, k := range slices.Sorted(maps.Keys(pod.Labels)) {
			labels = append(labels, collector.Attr{Name: k, Value: pod.Labels[k]})
		}
		attrs = append(attrs, collector.Attr{Name: "labels", Group: labels})
	}
	if pod.OwnerKind != "" {
		attrs = append(attrs, collector.Attr{Name: "owner", Group: []collector.Attr{
			{Name: "kind", Value: pod.OwnerKind}, {Name: "name", Value: pod.OwnerName},
		}})
	}
	return attrs
}

// streamVariants are shared by every stream: stdout, stderr, malformed, and the same
// three for a piece of a message.
var streamVariants = [][]collector.Attr{
	{{Name: "stream", Value: "stdout"}},
	{{Name: "stream", Value: "stderr"}},
	{{Name: "malformed", Value: "true"}},
	{{Name: "stream", Value: "stdout"}, {Name: "partial", Value: "true"}},
	{{Name: "stream", Value: "stderr"}, {Name: "partial", Value: "true"}},
	{{Name: "malformed", Value: "true"}, {Name: "partial", Value: "true"}},
}
