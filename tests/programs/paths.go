// The commands and answers of paths.c for Go: goroutines, interfaces, closures, defer, recursion.
// K in base 6 is the path.
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"sort"
	"strings"
	"sync"
)

type job struct {
	words []string
	path  int
}

type stepper interface{ walk(j job, left int) int }

type plain struct{ add int }
type recursive struct{}
type sorted struct{}
type deferred struct{}
type closure struct{ call func(j job, left int) int }
type large struct{}

var (
	listener net.Listener
	lock     sync.Mutex
	sockets  = map[int]net.Conn{}
	kept     []net.Conn
	steps    []stepper
)

//go:noinline
func (s plain) walk(j job, left int) int { return step(j, left) + s.add }

//go:noinline
func down(depth int, last func() int) int {
	if depth == 0 {
		return last() + 1
	}
	return down(depth-1, last) + 1
}

//go:noinline
func (recursive) walk(j job, left int) int {
	return down(j.path%17, func() int { return step(j, left) + 1 })
}

//go:noinline
func (sorted) walk(j job, left int) int {
	pair, result, done := []int{2, 1}, 0, false
	sort.Slice(pair, func(a, b int) bool {
		if !done {
			done = true
			result = step(j, left)
		}
		return pair[a] < pair[b]
	})
	return result + pair[0]
}

//go:noinline
func (deferred) walk(j job, left int) (result int) {
	defer func() { result = step(j, left) + 1 }()
	return 1
}

//go:noinline
func (s closure) walk(j job, left int) int { return s.call(j, left) + 1 }

// A frame for which the stack of a goroutine must grow.
//
//go:noinline
func (large) walk(j job, left int) int {
	var room [9000]byte
	room[j.path%9000] = 1
	return step(j, left) + int(room[j.path%9000])
}

//go:noinline
func step(j job, left int) int {
	if left == 0 {
		return leaf(j) + 1
	}
	return steps[left%6].walk(j, left/6) + 1
}

//go:noinline
func leaf(j job) int {
	switch j.words[0] {
	case "listen":
		listener = must(net.Listen("tcp4", "10.77.0.1:0"))
		fmt.Printf("port=%d\n", listener.Addr().(*net.TCPAddr).Port)
	case "accept":
		keep(j.path, must(listener.Accept()))
	case "connect":
		keep(j.path, must(net.Dial("tcp4", j.words[2]+":"+j.words[3])))
	default:
		readToEnd(j.path)
	}
	return 1
}

func keep(path int, socket net.Conn) {
	lock.Lock()
	sockets[path] = socket
	kept = append(kept, socket)
	lock.Unlock()
	local, remote := socket.LocalAddr().(*net.TCPAddr), socket.RemoteAddr().(*net.TCPAddr)
	fmt.Printf("opened=%d %d %d\n", path, local.Port, remote.Port)
}

func readToEnd(path int) {
	lock.Lock()
	socket := sockets[path]
	lock.Unlock()
	buffer := make([]byte, 256)
	for {
		if _, err := socket.Read(buffer); err != nil {
			break
		}
	}
	fmt.Printf("ended=%d\n", path)
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	call := func(j job, left int) int { return step(j, left) + len(j.words) }
	steps = []stepper{plain{1}, recursive{}, sorted{}, deferred{}, closure{call}, large{}}
	fmt.Println("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		j := job{words: strings.Fields(lines.Text())}
		fmt.Sscan(j.words[1], &j.path)
		go step(j, j.path)
	}
}
