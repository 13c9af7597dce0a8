package controllers

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	appsac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/logsource/operator/api/v1alpha1"
	"github.com/logsource/operator/controllers/planner"
)

// errSettling: a child of an earlier object of the same name is still being collected.
var errSettling = errors.New("waiting for the children of an earlier object of this name to go")

// newChild makes an empty object of a child's kind, to read into.
func newChild(kind string) client.Object {
	switch kind {
	case "ConfigMap":
		return &corev1.ConfigMap{}
	case "Deployment":
		return &appsv1.Deployment{}
	case "StatefulSet":
		return &appsv1.StatefulSet{}
	case "Service":
		return &corev1.Service{}
	}
	panic("BUG: controllers: no child has kind " + kind)
}

// apply brings every child to the apiserver. It answers a *Failure where retrying alone
// cannot help, errSettling where time will, and any other error where a retry may.
func (r *reconciler) apply(ctx context.Context, obj planner.Object, children []Child) error {
	for _, c := range children {
		if err := r.applyChild(ctx, obj, c); err != nil {
			return err
		}
	}
	return nil
}

func (r *reconciler) applyChild(ctx context.Context, obj planner.Object, c Child) error {
	current, err := r.current(ctx, c)
	if err != nil {
		return err
	}
	want, err := json.Marshal(c.Apply)
	if err != nil {
		return fmt.Errorf("encode %s: %w", c, err)
	}
	digest := sha256.Sum256(want)
	if current != nil {
		if err := mayApply(obj, c, current); err != nil {
			return err
		}
		if r.applied.same(obj.GetUID(), c, intent{digest, stateOf(current)}) {
			return nil
		}
		pin(c, current.GetUID())
	}
	after, err := r.write(ctx, c)
	if err != nil {
		return err
	}
	r.applied.put(obj.GetUID(), c, intent{digest, stateOf(after)})
	return nil
}

// write applies a child and returns what the apiserver made of it.
func (r *reconciler) write(ctx context.Context, c Child) (client.Object, error) {
	if err := r.client.Apply(ctx, c.Apply, client.FieldOwner(FieldOwner), client.ForceOwnership); err != nil {
		return nil, applyError(c, err)
	}
	return answerOf(c)
}

// answerOf reads the object as the apiserver has it now, which the client writes into what
// was applied.
func answerOf(c Child) (client.Object, error) {
	data, err := json.Marshal(c.Apply)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", c, err)
	}
	after := &metav1.PartialObjectMetadata{}
	return after, json.Unmarshal(data, after)
}

// current returns the object at a child's address, nil if there is none. What the cache
// has not got may be somebody else's, because the cache holds only what carries our label.
func (r *reconciler) current(ctx context.Context, c Child) (client.Object, error) {
	key := client.ObjectKey{Namespace: c.Namespace, Name: c.Name}
	for _, from := range []client.Reader{r.client, r.live} {
		into := newChild(c.Kind)
		err := from.Get(ctx, key, into)
		if err == nil {
			return into, nil
		}
		if !apierrors.IsNotFound(err) {
			return nil, err
		}
	}
	return nil, nil
}

// mayApply says whether the object at a child's address is ours.
func mayApply(obj planner.Object, c Child, current client.Object) error {
	owner := metav1.GetControllerOf(current)
	ours := owner != nil && owner.UID == obj.GetUID() && current.GetLabels()[LabelUID] == string(obj.GetUID())
	switch {
	case ours && current.GetDeletionTimestamp() != nil, isEarlier(obj, owner):
		return errSettling
	case ours:
		return nil
	}
	return &Failure{Reason: v1alpha1.ReasonConflict,
		Message: fmt.Sprintf("%s exists and is not a child of this %s: rename or delete it, or rename the %s", c, kindOf(obj), kindOf(obj))}
}

// isEarlier: the owner has the name of obj but not its UID, so it was deleted and made
// again, and the garbage collector is about to take this child.
func isEarlier(obj planner.Object, owner *metav1.OwnerReference) bool {
	return owner != nil && owner.Kind == kindOf(obj) && owner.Name == obj.GetName() && owner.UID != obj.GetUID() &&
		owner.APIVersion == v1alpha1.GroupVersion.String()
}

// pin makes the apiserver refuse the apply when the object is no longer the one that was
// looked at.
func pin(c Child, uid types.UID) {
	switch a := c.Apply.(type) {
	case *corev1ac.ConfigMapApplyConfiguration:
		a.WithUID(uid)
	case *appsac.DeploymentApplyConfiguration:
		a.WithUID(uid)
	case *appsac.StatefulSetApplyConfiguration:
		a.WithUID(uid)
	case *corev1ac.ServiceApplyConfiguration:
		a.WithUID(uid)
	}
}

// applyError tells a refusal, which the user must see, from trouble on the way.
func applyError(c Child, err error) error {
	switch {
	case wasReplaced(err):
	case apierrors.IsInvalid(err), apierrors.IsForbidden(err), apierrors.IsBadRequest(err), apierrors.IsRequestEntityTooLargeError(err):
		return &Failure{Reason: v1alpha1.ReasonApplyFailed, Message: fmt.Sprintf("the apiserver refuses %s: %v", c, err)}
	}
	return fmt.Errorf("apply %s: %w", c, err)
}

// wasReplaced: the object is no longer the one that pin named. The next look will tell.
func wasReplaced(err error) bool {
	return slices.ContainsFunc(causes(err), func(c metav1.StatusCause) bool { return c.Field == "metadata.uid" })
}

func causes(err error) []metav1.StatusCause {
	var s apierrors.APIStatus
	if !errors.As(err, &s) || s.Status().Details == nil {
		return nil
	}
	return s.Status().Details.Causes
}

// applied remembers what was applied last, so that a reconcile that changes nothing costs
// no request. A child that somebody else has changed since is applied again.
type applied struct {
	mu      sync.Mutex
	intents map[types.UID]map[string]intent // by owner and child
}

// intent is what was applied, and what the object was after it.
type intent struct {
	want  [sha256.Size]byte
	state state
}

// state tells whether the parts of an object that we apply have changed.
type state struct {
	uid        types.UID
	generation int64  // of the kinds that have one
	version    string // resourceVersion of the others
	meta       [sha256.Size]byte
}

func stateOf(o client.Object) state {
	s := state{uid: o.GetUID(), generation: o.GetGeneration()}
	if s.generation == 0 {
		s.version = o.GetResourceVersion()
	}
	meta, err := json.Marshal([]any{o.GetLabels(), o.GetOwnerReferences()})
	if err != nil {
		panic("BUG: controllers: labels do not encode: " + err.Error())
	}
	s.meta = sha256.Sum256(meta)
	return s
}

func (a *applied) same(owner types.UID, c Child, i intent) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	last, ok := a.intents[owner][c.String()]
	return ok && last == i
}

func (a *applied) put(owner types.UID, c Child, i intent) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.intents == nil {
		a.intents = map[types.UID]map[string]intent{}
	}
	if a.intents[owner] == nil {
		a.intents[owner] = map[string]intent{}
	}
	a.intents[owner][c.String()] = i
}

// forget drops what was applied for an object that is gone.
func (a *applied) forget(owner types.UID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.intents, owner)
}
