// Package planner turns a LogSource or a ClusterLogSource into the plan that a collector
// runs. It is pure: the same object and catalog always give the same plan or the same
// errors, and it reads nothing. The manager uses it in a cluster, `collector run -f` and
// `collector check -f` with no cluster, so that both say the same of one file.
//
// The planner trusts neither the schema nor the admission policy: it says everything that
// they say again, because either may be absent.
package planner
