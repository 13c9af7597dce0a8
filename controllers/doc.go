// Package controllers reconciles LogSources and ClusterLogSources into collectors.
//
// One reconcile goes through five steps. The three that think are pure functions with
// goldens; the two that act only talk to the apiserver:
//
//	planner.Plan  object, catalog        → plan, or why there is none
//	Objects       object, plan           → the children wanted
//	apply, prune  children               → server-side apply; what is ours and not wanted goes
//	Status        object, reports, pods  → the status
//	publish       status                 → one status apply, events on transitions
//
// It promises: a child of the same name that is not ours is never touched; an object that
// is not accepted never starts a pod and never stops one that runs its last good version;
// no finalizer, so that uninstalling in any order leaves nothing behind. It must never
// read a Secret: kubelet mounts the tenant's own into the tenant's pod.
package controllers
