package collector

import (
	"errors"
	"slices"
	"testing"

	"github.com/logsource/operator/collector/plan"
)

func TestUnresolvedFollowsWhatIsRead(t *testing.T) {
	there := map[string]bool{}
	var u unresolved
	read := u.watch(func(name, key string) ([]byte, error) {
		if !there[name+"/"+key] {
			return nil, errors.New("not found")
		}
		return []byte("v"), nil
	})
	p := &plan.Plan{
		Source: plan.Source{SecretOptions: []plan.SecretOption{{Option: "token", Name: "origin", Key: "token"}}},
		Destinations: []plan.Destination{
			{SecretOptions: []plan.SecretOption{{Option: "token", Name: "sink", Key: "token"}}},
			{SecretOptions: []plan.SecretOption{{Option: "token", Name: "sink", Key: "token"}, {Option: "ca", Name: "sink", Key: "ca"}}},
		},
	}
	ask := func() {
		for _, ref := range [][2]string{{"origin", "token"}, {"sink", "token"}} {
			if _, err := read(ref[0], ref[1]); (err == nil) != there[ref[0]+"/"+ref[1]] {
				t.Errorf("reading %v answers %v", ref, err)
			}
		}
	}
	want := func(refs ...string) {
		t.Helper()
		if got := u.in(p); !slices.Equal(got, refs) {
			t.Errorf("unresolved are %q, want %q", got, refs)
		}
	}
	want()
	ask()
	want("origin/token", "sink/token") // sink/ca was never asked for
	there["sink/token"] = true
	ask()
	want("origin/token")
	p.Source.SecretOptions = nil // edited: nobody refers to it any more
	want()
}
