package controllers

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	appsac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/collector/class"
	"github.com/logsource/operator/collector/plan"
	"github.com/logsource/operator/controllers/planner"
)

// Installation is what the children of every LogSource have in common.
type Installation struct {
	// Image is the collector's image.
	Image string
	// PullPolicy of the image; empty leaves it to Kubernetes.
	PullPolicy corev1.PullPolicy
	// AgentsNamespace is where the agents and the children of ClusterLogSources live.
	AgentsNamespace string
}

// A Child is one object wanted for a LogSource: its address, and what to apply.
type Child struct {
	Kind, Namespace, Name string
	Apply                 runtime.ApplyConfiguration
}

// String names the child for people: ConfigMap shop/logsource-hello.
func (c Child) String() string { return fmt.Sprintf("%s %s/%s", c.Kind, c.Namespace, c.Name) }

// Objects returns the children of obj that run the plan p. It is pure.
func Objects(obj planner.Object, p *plan.Plan, source *class.Class, in Installation) ([]Child, error) {
	b := childBuilder{obj: obj, plan: p, source: source, in: in, spec: planner.Spec(obj), namespace: home(obj, in.AgentsNamespace), name: childName(obj)}
	b.listeners = source.Listeners(p.Source.Options)
	if b.spec.Collector != nil {
		b.collector = *b.spec.Collector
	}
	doc, err := p.Encode()
	if err != nil {
		return nil, fmt.Errorf("encode the plan: %w", err)
	}
	if onNodes(source) {
		return []Child{b.nodePlan(string(doc))}, nil
	}
	children := []Child{b.tenantPlan(string(doc)), b.workload()}
	if len(b.listeners) > 0 {
		children = append(children, b.service())
	}
	return children, nil
}

// childBuilder is one run of Objects.
type childBuilder struct {
	obj       planner.Object
	plan      *plan.Plan
	source    *class.Class
	in        Installation
	spec      *v1alpha1.LogSourceSpec
	collector v1alpha1.CollectorSpec
	listeners []class.Listener // the ports that are on

	namespace, name string
}

// labels are on every child; they are how children are found again.
func (b *childBuilder) labels() map[string]string {
	return map[string]string{
		labelName:      "logsource-collector",
		labelInstance:  b.obj.GetName(),
		labelPartOf:    "logsource",
		labelManagedBy: FieldOwner,
		LabelUID:       string(b.obj.GetUID()),
	}
}

// owner lets the garbage collector take the child when obj goes. It does not block the
// deletion of obj: that would need a right on its finalizers.
func (b *childBuilder) owner() *metav1ac.OwnerReferenceApplyConfiguration {
	return metav1ac.OwnerReference().
		WithAPIVersion(v1alpha1.GroupVersion.String()).
		WithKind(kindOf(b.obj)).
		WithName(b.obj.GetName()).
		WithUID(b.obj.GetUID()).
		WithController(true).
		WithBlockOwnerDeletion(false)
}

func (b *childBuilder) nodePlan(doc string) Child {
	name := planName(b.obj)
	labels := b.labels()
	labels[LabelPlan] = "node"
	return b.configMap(name, labels, doc)
}

func (b *childBuilder) tenantPlan(doc string) Child {
	return b.configMap(b.name, b.tenantLabels(), doc)
}

func (b *childBuilder) tenantLabels() map[string]string {
	labels := b.labels()
	labels[LabelCollector] = CollectorTenant
	return labels
}

func (b *childBuilder) configMap(name string, labels map[string]string, doc string) Child {
	return Child{"ConfigMap", b.namespace, name, corev1ac.ConfigMap(name, b.namespace).
		WithLabels(labels).
		WithOwnerReferences(b.owner()).
		WithData(map[string]string{plan.Key: doc})}
}

func (b *childBuilder) workload() Child {
	if b.collector.Storage != nil {
		return b.statefulSet()
	}
	return b.deployment()
}

func (b *childBuilder) replicas() int32 {
	if b.collector.Replicas == nil {
		return 1
	}
	return *b.collector.Replicas
}

func (b *childBuilder) selector() *metav1ac.LabelSelectorApplyConfiguration {
	return metav1ac.LabelSelector().WithMatchLabels(podSelector(b.obj.GetUID()))
}

func (b *childBuilder) deployment() Child {
	spec := appsac.DeploymentSpec().
		WithReplicas(b.replicas()).
		WithRevisionHistoryLimit(1).
		WithStrategy(b.strategy()).
		WithSelector(b.selector()).
		WithTemplate(b.pod())
	return Child{"Deployment", b.namespace, b.name, appsac.Deployment(b.name, b.namespace).
		WithLabels(b.tenantLabels()).
		WithOwnerReferences(b.owner()).
		WithSpec(spec)}
}

// strategy never lets two collectors of one origin run side by side, unless the class says
// that this does no harm. Where senders come to the collectors, a new one is ready before an
// old one goes. All of it is said, so that all of it goes when the class wants another one:
// the apiserver refuses Recreate beside numbers that it filled in itself.
func (b *childBuilder) strategy() *appsac.DeploymentStrategyApplyConfiguration {
	s := appsac.DeploymentStrategy()
	if b.source.Placement != class.Scaled {
		return s.WithType(appsv1.RecreateDeploymentStrategyType)
	}
	unavailable := intstr.FromString("25%")
	if len(b.listeners) > 0 {
		unavailable = intstr.FromInt32(0)
	}
	return s.WithType(appsv1.RollingUpdateDeploymentStrategyType).
		WithRollingUpdate(appsac.RollingUpdateDeployment().WithMaxUnavailable(unavailable).WithMaxSurge(intstr.FromString("25%")))
}

func (b *childBuilder) statefulSet() Child {
	// The claims go with the LogSource, but stay when it is scaled down: the positions of a
	// collector that comes back are still good.
	retention := appsac.StatefulSetPersistentVolumeClaimRetentionPolicy().
		WithWhenDeleted(appsv1.DeletePersistentVolumeClaimRetentionPolicyType).
		WithWhenScaled(appsv1.RetainPersistentVolumeClaimRetentionPolicyType)
	spec := appsac.StatefulSetSpec().
		WithReplicas(b.replicas()).
		WithRevisionHistoryLimit(1).
		WithPodManagementPolicy(appsv1.ParallelPodManagement).
		WithPersistentVolumeClaimRetentionPolicy(retention).
		WithSelector(b.selector()).
		WithTemplate(b.pod()).
		WithVolumeClaimTemplates(b.claim())
	return Child{"StatefulSet", b.namespace, b.name, appsac.StatefulSet(b.name, b.namespace).
		WithLabels(b.tenantLabels()).
		WithOwnerReferences(b.owner()).
		WithSpec(spec)}
}

func (b *childBuilder) claim() *corev1ac.PersistentVolumeClaimApplyConfiguration {
	spec := corev1ac.PersistentVolumeClaimSpec().
		WithAccessModes(corev1.ReadWriteOnce).
		WithResources(corev1ac.VolumeResourceRequirements().
			WithRequests(corev1.ResourceList{corev1.ResourceStorage: b.collector.Storage.Size}))
	if s := b.collector.Storage.StorageClassName; s != nil {
		spec.WithStorageClassName(*s)
	}
	claim := corev1ac.PersistentVolumeClaim(stateVolume, "").WithSpec(spec)
	claim.Kind, claim.APIVersion, claim.Namespace = nil, nil, nil
	return claim
}
