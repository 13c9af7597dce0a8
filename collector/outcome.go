package collector

import "errors"

// An outcome is what became of a group.
type outcome struct {
	delivered, deliveredBytes int64
	rejected                  map[string]int64
}

// add books what Write said of the records and returns what must be written again. The
// batches returned after a partial answer are copies of the records that were not taken.
func (o *outcome) add(group []*Batch, err error) []*Batch {
	if err == nil {
		o.deliver(group)
		return nil
	}
	var partial *PartialError
	switch {
	case errors.As(err, &partial):
		return o.addPartial(group, partial)
	case IsPermanent(err):
		o.reject("permanent", messagesOf(group))
		return nil
	}
	return group
}

func (o *outcome) addPartial(group []*Batch, partial *PartialError) []*Batch {
	type place struct{ batch, record int }
	refused := make(map[place]error, len(partial.Rejected))
	for _, r := range partial.Rejected {
		refused[place{r.Batch, r.Record}] = r.Err
	}
	var rest []*Batch
	for i, b := range group {
		var again *Batch
		for j := range b.Len() {
			err, bad := refused[place{i, j}]
			switch {
			case !bad:
				o.delivered++
				o.deliveredBytes += int64(len(b.Body(j)))
			case IsPermanent(err):
				o.reject("permanent", 1)
			default:
				again = again.withCopy(b, j)
			}
		}
		if again != nil {
			rest = append(rest, again)
		}
	}
	return rest
}

func (o *outcome) deliver(group []*Batch) {
	for _, b := range group {
		o.delivered += int64(b.Len())
		o.deliveredBytes += int64(b.Size())
	}
}

func (o *outcome) reject(reason string, n int64) {
	if o.rejected == nil {
		o.rejected = map[string]int64{}
	}
	o.rejected[reason] += n
}

func messagesOf(group []*Batch) int64 {
	var n int64
	for _, b := range group {
		n += int64(b.Len())
	}
	return n
}

// withCopy appends record j of from to b, making b when it is nil.
func (b *Batch) withCopy(from *Batch, j int) *Batch {
	if b == nil {
		b = NewBatch(from.stream, from.Len(), from.Size())
	}
	b.copyRecord(from, j)
	return b
}
