package controllers

import (
	"maps"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/collector/plan"
	"github.com/logsource/operator/collector/report"
)

// Where a tenant collector finds what it needs.
const (
	plansDir   = "/etc/logsource/plan"
	secretsDir = "/etc/logsource/secrets"
	stateDir   = "/var/lib/logsource"

	plansVolume   = "plan"
	secretsVolume = "secrets"
	stateVolume   = "state"

	// httpPort is the name of the port of the reports; no class may call one so.
	httpPort = "status"
)

// stopMargin is what a pod gets beyond shutdownGrace, to write its last bookmarks.
const stopMargin = 10

// lingering is how many seconds a pod that is to stop still listens: until then it is in
// the Service's endpoints of every node.
const lingering = 5

// pod is the template of a tenant collector. Nothing of the plan is in it that the
// collector can take up while it runs: an edited plan must not restart a pod. No string of
// the tenant is in command, args or env.
func (b *childBuilder) pod() *corev1ac.PodTemplateSpecApplyConfiguration {
	spec := corev1ac.PodSpec().
		WithAutomountServiceAccountToken(false).
		WithEnableServiceLinks(false).
		WithTerminationGracePeriodSeconds(b.stopSeconds()).
		WithSecurityContext(b.podSecurity()).
		WithContainers(b.container()).
		WithVolumes(b.volumes()...).
		WithTolerations(b.tolerations()...)
	if len(b.collector.NodeSelector) > 0 {
		spec.WithNodeSelector(b.collector.NodeSelector)
	}
	template := corev1ac.PodTemplateSpec().WithLabels(b.podLabels()).WithSpec(spec)
	if len(b.collector.PodAnnotations) > 0 {
		template.WithAnnotations(b.collector.PodAnnotations)
	}
	return template
}

// stopSeconds is what the kubelet gives the pod from the word to the kill.
func (b *childBuilder) stopSeconds() int64 {
	seconds := int64(b.plan.ShutdownGrace.D().Seconds()) + stopMargin
	if b.lingers() {
		seconds += lingering
	}
	return seconds
}

// lingers: only where a new collector has taken over is it of use that the old one stays.
func (b *childBuilder) lingers() bool {
	return len(b.listeners) > 0 && b.source.Placement == class.Scaled
}

// podLabels: the user's first, so that ours win.
func (b *childBuilder) podLabels() map[string]string {
	labels := maps.Clone(b.collector.PodLabels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, b.tenantLabels())
	return labels
}

// collectorGroup is the group of the image's user; it may write to a volume of that group.
const collectorGroup = 65532

func (b *childBuilder) podSecurity() *corev1ac.PodSecurityContextApplyConfiguration {
	c := corev1ac.PodSecurityContext().
		WithRunAsNonRoot(true).
		WithSeccompProfile(corev1ac.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault))
	if b.collector.Storage != nil {
		c.WithFSGroup(collectorGroup).WithFSGroupChangePolicy(corev1.FSGroupChangeOnRootMismatch)
	}
	return c
}

func (b *childBuilder) container() *corev1ac.ContainerApplyConfiguration {
	c := corev1ac.Container().
		WithName("collector").
		WithImage(b.in.Image).
		WithCommand("/collector").
		WithArgs("run", "--plans-dir", plansDir, "--secrets-dir", secretsDir, "--state-dir", stateDir, "--output-dir", stateDir+"/output").
		WithEnv(b.env()...).
		WithPorts(b.ports()...).
		WithReadinessProbe(probe("/readyz", 5)).
		WithLivenessProbe(probe("/healthz", 10)).
		WithResources(b.resources()).
		WithTerminationMessagePolicy(corev1.TerminationMessageFallbackToLogsOnError).
		WithSecurityContext(corev1ac.SecurityContext().
			WithAllowPrivilegeEscalation(false).
			WithReadOnlyRootFilesystem(true).
			WithCapabilities(corev1ac.Capabilities().WithDrop("ALL"))).
		WithVolumeMounts(b.mounts()...)
	if b.in.PullPolicy != "" {
		c.WithImagePullPolicy(b.in.PullPolicy)
	}
	if b.lingers() {
		c.WithLifecycle(corev1ac.Lifecycle().WithPreStop(corev1ac.LifecycleHandler().WithSleep(corev1ac.SleepAction().WithSeconds(lingering))))
	}
	return c
}

func (b *childBuilder) ports() []*corev1ac.ContainerPortApplyConfiguration {
	ports := []*corev1ac.ContainerPortApplyConfiguration{containerPort(httpPort, report.Port, corev1.ProtocolTCP)}
	for _, l := range b.listeners {
		ports = append(ports, containerPort(l.Name, int32(l.Number), corev1.Protocol(l.Protocol)))
	}
	return ports
}

func containerPort(name string, number int32, protocol corev1.Protocol) *corev1ac.ContainerPortApplyConfiguration {
	return corev1ac.ContainerPort().WithName(name).WithContainerPort(number).WithProtocol(protocol)
}

func probe(path string, period int32) *corev1ac.ProbeApplyConfiguration {
	return corev1ac.Probe().
		WithPeriodSeconds(period).
		WithTimeoutSeconds(5).
		WithHTTPGet(corev1ac.HTTPGetAction().WithPath(path).WithPort(intstr.FromString(httpPort)))
}

func (b *childBuilder) env() []*corev1ac.EnvVarApplyConfiguration {
	env := []*corev1ac.EnvVarApplyConfiguration{
		fieldEnv("POD_NAME", "metadata.name"),
		fieldEnv("POD_UID", "metadata.uid"),
		fieldEnv("NODE_NAME", "spec.nodeName"),
	}
	if limit, ok := b.limits()[corev1.ResourceMemory]; ok {
		env = append(env, corev1ac.EnvVar().WithName("GOMEMLIMIT").WithValue(memoryLimit(limit)))
	}
	return env
}

func fieldEnv(name, path string) *corev1ac.EnvVarApplyConfiguration {
	return corev1ac.EnvVar().WithName(name).
		WithValueFrom(corev1ac.EnvVarSource().WithFieldRef(corev1ac.ObjectFieldSelector().WithFieldPath(path)))
}

// memoryLimit is nine tenths of the container's limit: the Go runtime must begin to save
// before the kernel kills. (The downward API could only give the whole limit.)
func memoryLimit(limit resource.Quantity) string {
	return strconv.FormatInt(limit.Value()/10*9, 10)
}

func (b *childBuilder) limits() corev1.ResourceList {
	if b.collector.Resources == nil {
		return nil
	}
	return b.collector.Resources.Limits
}

// resources asks for little and sets no limit, unless the user says otherwise.
func (b *childBuilder) resources() *corev1ac.ResourceRequirementsApplyConfiguration {
	r := corev1ac.ResourceRequirements()
	if want := b.collector.Resources; want != nil {
		if len(want.Requests) > 0 {
			r.WithRequests(want.Requests)
		}
		if len(want.Limits) > 0 {
			r.WithLimits(want.Limits)
		}
		return r
	}
	return r.WithRequests(corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("10m"),
		corev1.ResourceMemory: resource.MustParse("32Mi"),
	})
}

func (b *childBuilder) tolerations() []*corev1ac.TolerationApplyConfiguration {
	var out []*corev1ac.TolerationApplyConfiguration
	for _, t := range b.collector.Tolerations {
		out = append(out, toleration(t))
	}
	return out
}

func toleration(t corev1.Toleration) *corev1ac.TolerationApplyConfiguration {
	a := corev1ac.Toleration()
	if t.Key != "" {
		a.WithKey(t.Key)
	}
	if t.Operator != "" {
		a.WithOperator(t.Operator)
	}
	if t.Value != "" {
		a.WithValue(t.Value)
	}
	if t.Effect != "" {
		a.WithEffect(t.Effect)
	}
	if t.TolerationSeconds != nil {
		a.WithTolerationSeconds(*t.TolerationSeconds)
	}
	return a
}

func (b *childBuilder) mounts() []*corev1ac.VolumeMountApplyConfiguration {
	mounts := []*corev1ac.VolumeMountApplyConfiguration{
		corev1ac.VolumeMount().WithName(plansVolume).WithMountPath(plansDir).WithReadOnly(true),
		corev1ac.VolumeMount().WithName(stateVolume).WithMountPath(stateDir),
	}
	if len(b.secretKeys()) > 0 {
		mounts = append(mounts, corev1ac.VolumeMount().WithName(secretsVolume).WithMountPath(secretsDir).WithReadOnly(true))
	}
	return mounts
}

func (b *childBuilder) volumes() []*corev1ac.VolumeApplyConfiguration {
	volumes := []*corev1ac.VolumeApplyConfiguration{corev1ac.Volume().WithName(plansVolume).
		WithConfigMap(corev1ac.ConfigMapVolumeSource().WithName(b.name).
			WithItems(corev1ac.KeyToPath().WithKey(plan.Key).WithPath(plan.Key)))}
	if b.collector.Storage == nil {
		volumes = append(volumes, corev1ac.Volume().WithName(stateVolume).WithEmptyDir(corev1ac.EmptyDirVolumeSource()))
	}
	if keys := b.secretKeys(); len(keys) > 0 {
		volumes = append(volumes, corev1ac.Volume().WithName(secretsVolume).WithProjected(projected(keys)))
	}
	return volumes
}

// secretKeys are the keys the plan refers to, by Secret.
func (b *childBuilder) secretKeys() map[string]map[string]bool {
	keys := map[string]map[string]bool{}
	add := func(options []plan.SecretOption) {
		for _, o := range options {
			if keys[o.Name] == nil {
				keys[o.Name] = map[string]bool{}
			}
			keys[o.Name][o.Key] = true
		}
	}
	add(b.plan.Source.SecretOptions)
	for i := range b.plan.Destinations {
		add(b.plan.Destinations[i].SecretOptions)
	}
	return keys
}

// projected mounts nothing but the keys that are referred to. They are optional, so that
// a missing Secret is told by the collector and the condition ResolvedRefs, while the
// other destinations go on; kubelet would hold the whole pod back.
func projected(keys map[string]map[string]bool) *corev1ac.ProjectedVolumeSourceApplyConfiguration {
	v := corev1ac.ProjectedVolumeSource()
	for _, secret := range slices.Sorted(maps.Keys(keys)) {
		s := corev1ac.SecretProjection().WithName(secret).WithOptional(true)
		for _, key := range slices.Sorted(maps.Keys(keys[secret])) {
			s.WithItems(corev1ac.KeyToPath().WithKey(key).WithPath(secret + "/" + key))
		}
		v.WithSources(corev1ac.VolumeProjection().WithSecret(s))
	}
	return v
}
