package journal

import (
	"encoding/binary"
	"hash/maphash"
	"reflect"
	"time"
	"unsafe"

	"bascule/ha"
)

var (
	seed        = maphash.MakeSeed()
	instantType = reflect.TypeFor[ha.Instant]()
	timeType    = reflect.TypeFor[time.Time]()
)

// counters are fields that only number attempts: the tenth like the ninth says nothing new.
var counters = map[string]bool{"Seq": true, "Round": true}

// maxPrints bounds how many maps a printer keeps.
const maxPrints = 32

// printer hashes values without counters and what clocks say: of an instant only whether there is one, of a wall clock's time
// nothing. It works by reflection so that a new field of a machine's state counts without being listed here.
//
// Most of a large state is in maps that stay the very same from step to step; as nobody changes a map that was handed over (see
// Journal), each is hashed once.
type printer struct {
	maps   map[unsafe.Pointer]mapPrint
	fields map[reflect.Type][]int // of each struct: those that count
}

// mapPrint holds the map too: while it lives, nothing else has its address.
type mapPrint struct {
	hash uint64
	held reflect.Value
}

func (p *printer) of(vs ...any) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, v := range vs {
		p.value(&h, reflect.ValueOf(v))
	}
	return h.Sum64()
}

func (p *printer) value(h *maphash.Hash, v reflect.Value) {
	if !v.IsValid() {
		return
	}
	switch v.Type() {
	case timeType:
		return
	case instantType:
		hashBool(h, v.Int() != 0)
		return
	}
	switch v.Kind() {
	case reflect.String:
		hashInt(h, int64(v.Len()))
		h.WriteString(v.String())
	case reflect.Bool:
		hashBool(h, v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		hashInt(h, v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		hashInt(h, int64(v.Uint()))
	case reflect.Struct:
		for _, i := range p.fieldsOf(v.Type()) {
			p.value(h, v.Field(i))
		}
	case reflect.Slice, reflect.Array:
		hashInt(h, int64(v.Len()))
		for i := range v.Len() {
			p.value(h, v.Index(i))
		}
	case reflect.Pointer, reflect.Interface:
		hashBool(h, v.IsNil())
		if !v.IsNil() {
			h.WriteString(v.Elem().Type().String())
			p.value(h, v.Elem())
		}
	case reflect.Map:
		hashInt(h, int64(v.Len()))
		hashInt(h, int64(p.ofMap(v)))
	} // other kinds are in no recorded type: a test keeps it so
}

func (p *printer) fieldsOf(t reflect.Type) []int {
	list, known := p.fields[t]
	if known {
		return list
	}
	for i := range t.NumField() {
		if !counters[t.Field(i).Name] {
			list = append(list, i)
		}
	}
	if p.fields == nil {
		p.fields = map[reflect.Type][]int{}
	}
	p.fields[t] = list
	return list
}

// ofMap adds the hashes of the elements up, so that their order does not count.
func (p *printer) ofMap(v reflect.Value) uint64 {
	if known, ok := p.maps[v.UnsafePointer()]; ok {
		return known.hash
	}
	var sum uint64
	var one maphash.Hash
	one.SetSeed(seed)
	for it := v.MapRange(); it.Next(); {
		one.Reset()
		p.value(&one, it.Key())
		p.value(&one, it.Value())
		sum += one.Sum64()
	}
	if p.maps == nil || len(p.maps) >= maxPrints {
		p.maps = map[unsafe.Pointer]mapPrint{}
	}
	p.maps[v.UnsafePointer()] = mapPrint{hash: sum, held: v}
	return sum
}

func hashInt(h *maphash.Hash, n int64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(n))
	h.Write(b[:])
}

func hashBool(h *maphash.Hash, b bool) {
	if b {
		h.WriteByte(1)
	} else {
		h.WriteByte(0)
	}
}
