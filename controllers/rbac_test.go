package controllers_test

import (
	"os"
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// The manager of the tests with an apiserver has these rights alone, so those tests show
// that they suffice. This one shows what they leave out.
func TestRightsAreLeast(t *testing.T) {
	data, err := os.ReadFile("../config/rbac/role.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var role rbacv1.ClusterRole
	if err := yaml.UnmarshalStrict(data, &role); err != nil {
		t.Fatal(err)
	}
	if len(role.Rules) == 0 {
		t.Fatal("the role has no rules")
	}
	looking := []string{"get", "list", "watch"}
	for _, rule := range role.Rules {
		all := slices.Concat(rule.Resources, rule.APIGroups, rule.Verbs)
		for _, never := range []string{"*", "secrets", "serviceaccounts", "roles", "clusterroles", "escalate", "bind", "impersonate", "pods/exec", "nodes/proxy", "deletecollection"} {
			if slices.Contains(all, never) {
				t.Errorf("rule %+v has %q", rule, never)
			}
		}
		for _, verb := range rule.Verbs {
			if slices.Contains(rule.Resources, "pods") && !slices.Contains(looking, verb) {
				t.Errorf("the manager may %s pods", verb)
			}
		}
	}
}
