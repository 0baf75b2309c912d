package badgerstore
import ("testing";"fmt";"go.uber.org/zap")
func TestDbg(t *testing.T) {
	l,_ := zap.NewDevelopment()
	s := openTest(t, Options{JanitorInterval: -1})
	_ = l
	show := func(w string) { fmt.Println(w); for _, x := range s.db.Tables() { fmt.Printf("  id %d L%d %q..%q keys %d size %d\n", x.ID, x.Level, x.Left, x.Right, x.KeyCount, x.OnDiskSize) } }
	for range 3 {
		show("before")
		fmt.Println("newest", s.newestTable())
		if err := s.rotate(t.Context()); err != nil { t.Fatal(err) }
		show("rotated")
		for range 2 { fmt.Println(s.db.Flatten(1)); show("flat") }
	}
}
