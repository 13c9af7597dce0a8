package collector

import (
	"maps"
	"slices"
	"sync"

	"github.com/logsource/operator/collector/plan"
)

// unresolved notes which keys of Secrets could not be read when a driver asked for them
// last. The manager may not look at Secrets: its condition ResolvedRefs comes from here.
type unresolved struct {
	mu   sync.Mutex
	refs map[string]bool // "name/key"
}

// watch returns a reader that notes what read answers.
func (u *unresolved) watch(read Secrets) Secrets {
	return func(name, key string) ([]byte, error) {
		value, err := read(name, key)
		u.note(name+"/"+key, err != nil)
		return value, err
	}
}

func (u *unresolved) note(ref string, missing bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !missing {
		delete(u.refs, ref)
		return
	}
	if u.refs == nil {
		u.refs = map[string]bool{}
	}
	u.refs[ref] = true
}

// in lists those that p still refers to, sorted.
func (u *unresolved) in(p *plan.Plan) []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	found := map[string]bool{}
	for _, s := range secretsOf(p) {
		if ref := s.Name + "/" + s.Key; u.refs[ref] {
			found[ref] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

func secretsOf(p *plan.Plan) []plan.SecretOption {
	all := slices.Clone(p.Source.SecretOptions)
	for i := range p.Destinations {
		all = append(all, p.Destinations[i].SecretOptions...)
	}
	return all
}
