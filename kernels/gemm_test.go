package kernels_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/halfgrad/halfgrad/fp16"
	"github.com/halfgrad/halfgrad/internal/kerneltest"
	"github.com/halfgrad/halfgrad/internal/require"
	"github.com/halfgrad/halfgrad/kernels"
	"github.com/halfgrad/halfgrad/tensor"
)

// otherRequirements are what HALFGRAD_REQUIRE may list besides tiers.
var otherRequirements = []string{"mnist", "llvm", "torch", "onnx", "onnxruntime", "poppler", "chromium", "peers", "qemu"}

// A tier that HALFGRAD_REQUIRE names must be there, and a name nobody knows
// must not make the requirement vanish.
func TestRequiredTiers(t *testing.T) {
	for _, name := range require.List() {
		if !slices.Contains(otherRequirements, name) && !slices.Contains(kernels.Supported(), name) {
			t.Errorf("%s names %q: supported here are %v, and %v", require.Env, name, kernels.Supported(), otherRequirements)
		}
	}
}

func engine(t testing.TB, cfg kernels.Config) *kernels.Engine {
	t.Helper()
	e, err := kernels.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// problem describes a product with random operands.
type problem struct {
	m, n, k                int
	operands, result       tensor.DType
	transA, transB, transC bool
	accumulate             bool
	packed                 bool // B is a Packed
	consumed               bool // C goes to a consumer
	scale                  float32
	bias, relu             bool
	gap                    int // elements between the stored rows
	mix                    kerneltest.Mix
	seed                   uint64
}

func (p problem) String() string {
	return fmt.Sprintf("%dx%dx%d %v→%v transA=%v transB=%v transC=%v accumulate=%v packed=%v scale=%v bias=%v relu=%v gap=%d values=%s seed=%d",
		p.m, p.n, p.k, p.operands, p.result, p.transA, p.transB, p.transC, p.accumulate, p.packed, p.scale, p.bias, p.relu, p.gap, p.mix.Name, p.seed)
}

// matrix makes a rows×cols matrix of random elements.
func (p problem) matrix(rng *rand.Rand, dtype tensor.DType, rows, cols int, trans bool) tensor.Matrix {
	if trans {
		rows, cols = cols, rows
	}
	stride := cols + p.gap
	m := tensor.Matrix{Rows: rows, Cols: cols, Stride: stride}
	if dtype == tensor.F16 {
		m.Elements = tensor.Of(p.mix.Half(rng, rows*stride))
	} else {
		m.Elements = tensor.Of(p.mix.Slice(rng, tensor.F32, rows*stride))
	}
	if trans {
		m = m.T()
	}
	return m
}

func (p problem) args() kernels.GemmArgs {
	rng := rand.New(rand.NewPCG(p.seed, 0))
	g := kernels.GemmArgs{
		A:          p.matrix(rng, p.operands, p.m, p.k, p.transA),
		B:          p.matrix(rng, p.operands, p.k, p.n, p.transB),
		C:          p.matrix(rng, p.result, p.m, p.n, p.transC && !p.packed),
		Accumulate: p.accumulate, Scale: p.scale, ReLU: p.relu, Check: true,
	}
	if p.bias {
		g.Bias = p.mix.Slice(rng, tensor.F32, p.n)
	}
	return g
}

func at(m tensor.Matrix, i, j int) float32 {
	x := i*m.Stride + j
	if m.Trans {
		x = j*m.Stride + i
	}
	if m.DType() == tensor.F16 {
		return m.Elements.F16()[x].Float32()
	}
	return m.Elements.F32()[x]
}

func set(m tensor.Matrix, i, j int, v float32) {
	x := i*m.Stride + j
	if m.Trans {
		x = j*m.Stride + i
	}
	if m.DType() == tensor.F16 {
		m.Elements.F16()[x] = fp16.FromFloat32(v)
	} else {
		m.Elements.F32()[x] = v
	}
}

// naive computes g by the triple loop, and the epilogue step by step.
func naive(g kernels.GemmArgs) (finite bool) {
	finite = true
	for i := range g.C.Rows {
		for j := range g.C.Cols {
			var acc float32
			if g.Accumulate {
				acc = at(g.C, i, j)
			}
			for p := range g.A.Cols {
				acc = kerneltest.MulAdd(g.A.DType(), at(g.A, i, p), at(g.B, p, j), acc)
			}
			if g.Scale != 0 {
				acc *= g.Scale
			}
			if g.Bias != nil {
				acc += g.Bias[j]
			}
			if g.ReLU && acc <= 0 {
				acc = 0
			}
			set(g.C, i, j, acc)
			stored := float64(at(g.C, i, j))
			finite = finite && !math.IsInf(stored, 0) && !math.IsNaN(stored)
		}
	}
	return finite
}

// elements returns all of m's memory in fp32, gaps included.
func elements(m tensor.Matrix) []float32 {
	if m.DType() == tensor.F32 {
		return m.Elements.F32()
	}
	wide := make([]float32, m.Elements.Len())
	m.Elements.Load(wide)
	return wide
}

// check computes p on every engine and compares all memory of C with the naive loop's, the
// gaps between rows included.
func check(t *testing.T, engines []*kernels.Engine, p problem) {
	t.Helper()
	g := p.args()
	finite := naive(g)
	want := elements(g.C)
	for _, e := range engines {
		g := p.args()
		if p.packed {
			g.Packed, g.B = kernels.Pack(g.B), tensor.Matrix{}
		}
		if p.consumed {
			into := &copier{c: g.C}
			g.C, g.Consumer, g.Check = tensor.Matrix{Rows: p.m, Cols: p.n}, into, false
			e.Gemm(g)
			g.C = into.c
			if n := into.elements.Load(); n != int64(p.m*p.n) {
				t.Fatalf("%v on %s: %d elements were handed out", p, e.KernelName(p.operands), n)
			}
		} else if got := e.Gemm(g); got != finite {
			t.Fatalf("%v on %s: finite is %v, want %v", p, e.KernelName(p.operands), got, finite)
		}
		got := elements(g.C)
		for i := range want {
			if !kerneltest.Same(got[i], want[i]) {
				t.Fatalf("%v on %s, %d threads, blocking %+v: C.data[%d] = %g, want %g",
					p, e.KernelName(p.operands), e.Threads(), e.Blocking(p.operands), i, got[i], want[i])
			}
		}
	}
}

// copier is a consumer that copies the product to c.
type copier struct {
	c        tensor.Matrix
	elements atomic.Int64
}

func (m *copier) Consume(i, j int, sums tensor.Matrix) {
	for r := range sums.Rows {
		for col := range sums.Cols {
			set(m.c, i+r, j+col, at(sums, r, col))
		}
	}
	m.elements.Add(int64(sums.Rows * sums.Cols))
}

func TestGemmConsumer(t *testing.T) {
	all := engines(t)
	rng := rand.New(rand.NewPCG(6, 2))
	count := 150
	if testing.Short() {
		count = 30
	}
	for range count {
		p := randomProblem(rng, 70)
		p.result, p.transC, p.accumulate, p.scale, p.bias, p.relu, p.consumed = tensor.F32, false, false, 0, false, false, true
		check(t, all, p)
	}
	for _, shape := range [][3]int{{784, 256, 128}, {256, 10, 128}, {300, 1100, 600}, {3, 2100, 40}} {
		p := problem{m: shape[0], n: shape[1], k: shape[2], operands: tensor.F16, result: tensor.F32, transA: true, mix: kerneltest.Mixes[0], consumed: true}
		if !testing.Short() {
			check(t, all, p)
		}
	}
}

// engines returns engines of every supported tier at 1, 2 and 3 threads, with the default
// block sizes and with sizes so small that every loop has many iterations.
func engines(t testing.TB) []*kernels.Engine {
	var all []*kernels.Engine
	for _, tier := range kernels.Supported() {
		for _, threads := range []int{1, 2, 3} {
			all = append(all, engine(t, kernels.Config{Kernel: tier, Threads: threads}),
				engine(t, kernels.Config{Kernel: tier, Threads: threads, Blocking: kernels.Blocking{MC: 7, KC: 5, NC: 18, B: 90}, SerialBelow: 1}))
		}
	}
	return all
}

func TestGemmEveryForm(t *testing.T) {
	all := engines(t)
	seed := uint64(0)
	for _, shape := range [][3]int{{1, 1, 1}, {5, 17, 9}, {13, 35, 23}} {
		for form := range 1 << 6 {
			on := func(bit int) bool { return form>>bit&1 == 1 }
			dtype := func(bit int) tensor.DType { return []tensor.DType{tensor.F16, tensor.F32}[form>>bit&1] }
			for _, gap := range []int{0, 3} {
				seed++
				check(t, all, problem{
					m: shape[0], n: shape[1], k: shape[2], operands: dtype(0), result: dtype(1),
					transA: on(2), transB: on(3), transC: on(4), accumulate: on(5),
					gap: gap, mix: kerneltest.Mixes[seed%uint64(len(kerneltest.Mixes))], seed: seed,
				})
			}
		}
	}
}

func TestGemmRandomShapes(t *testing.T) {
	all := engines(t)
	rng := rand.New(rand.NewPCG(4, 2))
	count := 400
	if testing.Short() {
		count = 60
	}
	for range count {
		check(t, all, randomProblem(rng, 70))
	}
}

func randomProblem(rng *rand.Rand, most int) problem {
	flip := func() bool { return rng.IntN(2) == 1 }
	dtype := func() tensor.DType { return []tensor.DType{tensor.F16, tensor.F16, tensor.F32}[rng.IntN(3)] }
	return problem{
		m: rng.IntN(most), n: rng.IntN(most), k: rng.IntN(most), operands: dtype(), result: dtype(),
		transA: flip(), transB: flip(), transC: flip(), accumulate: flip(), packed: flip(), gap: rng.IntN(4),
		scale: []float32{0, 0.3, 1 << 12, 1e-9}[rng.IntN(4)], bias: flip(), relu: flip(),
		mix: kerneltest.Mixes[rng.IntN(len(kerneltest.Mixes))], seed: rng.Uint64(),
	}
}

// The products of a training step of 784-256-10, and others of several blocks, with the
// default block sizes.
func TestGemmRealShapes(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: large products take a few seconds")
	}
	var all []*kernels.Engine
	for _, tier := range kernels.Supported() {
		for _, threads := range []int{1, 2, 3} {
			all = append(all, engine(t, kernels.Config{Kernel: tier, Threads: threads, SerialBelow: 1}))
		}
	}
	for i, p := range []problem{
		{m: 128, n: 256, k: 784},
		{m: 128, n: 10, k: 256},
		{m: 784, n: 256, k: 128, transA: true, result: tensor.F32},
		{m: 128, n: 256, k: 10, transB: true},
		{m: 1, n: 300, k: 1500, accumulate: true},
		{m: 500, n: 1, k: 1000},
		{m: 450, n: 70, k: 700, transA: true, transB: true},
		{m: 1, n: 300, k: 1500, packed: true, bias: true},
		{m: 5, n: 150, k: 1100, bias: true, relu: true, transA: true},
		{m: 40, n: 300, k: 900, packed: true, scale: 0.7, relu: true},
		{m: 100, n: 300, k: 900, transC: true, scale: 0.7, bias: true},
		{m: 128, n: 256, k: 300, operands: tensor.F32, bias: true},
		{m: 60, n: 140, k: 70, operands: tensor.F32, transA: true, gap: 5},
		// Narrow products, whose transpose is computed.
		{m: 200, n: 9, k: 600, bias: true, relu: true, gap: 1},
		{m: 300, n: 5, k: 700, transA: true, result: tensor.F32, scale: 0.7},
		{m: 100, n: 6, k: 300, operands: tensor.F32, bias: true},
		{m: 70, n: 1, k: 90, transB: true},
		{m: 2000, n: 3, k: 20}, // more elements than one call takes
		// Several blocks in every dimension, with and without parts of tiles.
		{m: 144, n: 576, k: 1100, bias: true, relu: true},
		{m: 131, n: 515, k: 600, transB: true},
		{m: 700, n: 40, k: 530},
		{m: 50, n: 2048, k: 40}, // rows of B that are packed beforehand
		{m: 50, n: 1024, k: 40, operands: tensor.F32},
		{m: 100, n: 1024, k: 40, operands: tensor.F32, transA: true, result: tensor.F32, accumulate: true},
		{m: 30, n: 1024, k: 1100, result: tensor.F32, accumulate: true}, // rows of C alias, and there are blocks over k
		{m: 100, n: 70, k: 600, operands: tensor.F32, transB: true, accumulate: true},
	} {
		p.mix, p.seed = kerneltest.Mixes[0], uint64(i)
		if p.operands == 0 {
			p.operands = tensor.F16
		}
		if p.result == 0 {
			p.result = tensor.F16
		}
		check(t, all, p)
	}
}

func TestGemmEmpty(t *testing.T) {
	for _, e := range engines(t) {
		for _, result := range []tensor.DType{tensor.F16, tensor.F32} {
			for _, accumulate := range []bool{false, true} {
				check(t, []*kernels.Engine{e}, problem{m: 3, n: 4, k: 0, operands: tensor.F16, result: result, accumulate: accumulate, gap: 1, mix: kerneltest.Mixes[0]})
				check(t, []*kernels.Engine{e}, problem{m: 0, n: 4, k: 2, operands: tensor.F16, result: result, accumulate: accumulate, mix: kerneltest.Mixes[0]})
				check(t, []*kernels.Engine{e}, problem{m: 3, n: 0, k: 2, operands: tensor.F16, result: result, accumulate: accumulate, mix: kerneltest.Mixes[0]})
			}
		}
	}
}

// Sleeping helpers wake up, whatever GOMAXPROCS is by then.
func TestHelpersWakeUp(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	e := engine(t, kernels.Config{Threads: 4, SerialBelow: 1})
	for i, procs := range []int{4, 1, 2, 8, 1, 4} {
		runtime.GOMAXPROCS(procs)
		check(t, []*kernels.Engine{e}, problem{m: 100, n: 90, k: 50 + i, operands: tensor.F16, result: tensor.F16, mix: kerneltest.Mixes[0], seed: uint64(i)})
		time.Sleep(5 * time.Millisecond) // far longer than helpers look for work
	}
}

// The goroutines of an engine end with it.
func TestHelpersEnd(t *testing.T) {
	noHelpers()
	var all []*kernels.Engine
	for range 10 {
		e := engine(t, kernels.Config{Threads: 4, SerialBelow: 1})
		check(t, []*kernels.Engine{e}, problem{m: 100, n: 90, k: 50, operands: tensor.F16, result: tensor.F16, mix: kerneltest.Mixes[0]})
		all = append(all, e)
	}
	if got, want := helpers(), 3*len(all); got != want {
		t.Errorf("%d helpers of %d engines, want %d", got, len(all), want)
	}
	runtime.KeepAlive(all)
	all = nil
	noHelpers()
}

// SerialBelow can be so large that no product has helpers, not even one with a consumer,
// for which the limit is multiplied.
func TestAlwaysSerial(t *testing.T) {
	noHelpers()
	e := engine(t, kernels.Config{Threads: 4, SerialBelow: math.MaxInt})
	check(t, []*kernels.Engine{e}, problem{m: 100, n: 90, k: 50, operands: tensor.F16, result: tensor.F32, consumed: true, mix: kerneltest.Mixes[0]})
	if n := helpers(); n != 0 {
		t.Errorf("%d helpers were started", n)
	}
	runtime.KeepAlive(e)
}

// helpers returns the number of goroutines that engines have started.
func helpers() int {
	stacks := make([]byte, 4<<20)
	return bytes.Count(stacks[:runtime.Stack(stacks, true)], []byte("created by github.com/halfgrad/halfgrad/kernels.(*Engine)"))
}

// noHelpers waits until the helpers of all engines have ended, which are garbage. If one
// never ends, the test times out.
func noHelpers() {
	for helpers() > 0 {
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
}

// Packing a matrix without elements takes no time, whatever its shape.
func TestPackEmpty(t *testing.T) {
	for _, b := range []tensor.Matrix{
		{Cols: math.MaxInt, Stride: math.MaxInt, Elements: tensor.Make(tensor.F16, 0)}, {Rows: math.MaxInt, Elements: tensor.Make(tensor.F32, 0)},
	} {
		kernels.Pack(b)
	}
}

// Products allocate nothing after the first few calls.
func TestGemmAllocatesNothing(t *testing.T) {
	for _, tier := range kernels.Supported() {
		e := engine(t, kernels.Config{Kernel: tier, Threads: 3, SerialBelow: 1})
		for _, p := range []problem{
			{m: 100, n: 90, k: 50},
			{m: 1, n: 300, k: 40},
			{m: 1, n: 300, k: 40, packed: true},
			{m: 200, n: 5, k: 600, bias: true},
			{m: 60, n: 33, k: 600, transB: true, relu: true},
			{m: 60, n: 40, k: 70, transA: true, transC: true, bias: true},
			{m: 60, n: 40, k: 70, consumed: true},
		} {
			p.operands, p.result, p.mix = tensor.F16, tensor.F16, kerneltest.Mixes[0]
			g := p.args()
			if p.packed {
				g.Packed, g.B = kernels.Pack(g.B), tensor.Matrix{}
			}
			if p.consumed {
				g.Check, g.Consumer = false, &copier{c: g.C}
				g.C = tensor.Matrix{Rows: p.m, Cols: p.n}
			}
			for range 20 {
				e.Gemm(g)
			}
			if n := testing.AllocsPerRun(50, func() { e.Gemm(g) }); n != 0 {
				t.Errorf("%v on %s: allocates %v times", p, tier, n)
			}
		}
	}
}

// One engine, several callers: each gets its own result.
func TestGemmConcurrentCallers(t *testing.T) {
	e := engine(t, kernels.Config{Threads: 3, SerialBelow: 1})
	var callers sync.WaitGroup
	for caller := range 4 {
		callers.Go(func() {
			for i := range 10 {
				p := problem{m: 90 + caller, n: 80, k: 60 + i, operands: tensor.F16, result: tensor.F16, mix: kerneltest.Mixes[0], seed: uint64(caller)}
				g, want := p.args(), p.args()
				e.Gemm(g)
				naive(want)
				if !slices.Equal(g.C.Elements.F16(), want.C.Elements.F16()) {
					t.Errorf("caller %d, product %d: wrong result", caller, i)
				}
			}
		})
	}
	callers.Wait()
}

func TestGemmPanics(t *testing.T) {
	half := func(rows, cols int) tensor.Matrix {
		return tensor.MatrixF16(make([]fp16.Float16, rows*cols), rows, cols)
	}
	wide := func(rows, cols int) tensor.Matrix { return tensor.MatrixF32(make([]float32, rows*cols), rows, cols) }
	brain := func(rows, cols int) tensor.Matrix { return tensor.New(tensor.BF16, rows, cols).Matrix() }
	short := half(3, 4)
	short.Elements = short.Elements.Slice(0, 11)
	e := engine(t, kernels.Config{})
	for name, c := range map[string]struct {
		args kernels.GemmArgs
		want string
	}{
		"inner dimensions":         {kernels.GemmArgs{A: half(2, 3), B: half(4, 5), C: half(2, 5)}, "A is 2×3, B is 4×5 and C is 2×5"},
		"result's shape":           {kernels.GemmArgs{A: half(2, 3), B: half(3, 5), C: half(5, 2)}, "C is 5×2"},
		"mixed operands":           {kernels.GemmArgs{A: half(2, 3), B: wide(3, 5), C: wide(2, 5)}, "A is fp16 and B is fp32"},
		"operands without kernel":  {kernels.GemmArgs{A: brain(2, 3), B: brain(3, 5), C: wide(2, 5)}, "A is bf16 and B is bf16: want both fp16 or both fp32"},
		"result without kernel":    {kernels.GemmArgs{A: half(2, 3), B: half(3, 5), C: brain(2, 5)}, "C is bf16: want fp16 or fp32"},
		"operands without type":    {kernels.GemmArgs{A: tensor.Matrix{Rows: 2}, B: half(0, 5), C: wide(2, 5)}, "A is DType(0) and B is fp16: want both fp16 or both fp32"},
		"too few elements":         {kernels.GemmArgs{A: short, B: half(4, 5), C: half(3, 5)}, "A: 11 elements are too few"},
		"bias":                     {kernels.GemmArgs{A: half(2, 3), B: half(3, 5), C: half(2, 5), Bias: make([]float32, 2)}, "a bias of 2 values and a matrix C of 5 columns"},
		"packed of another shape":  {kernels.GemmArgs{A: half(2, 3), Packed: kernels.Pack(half(4, 5)), C: half(2, 5)}, "A is 2×3, B is 4×5"},
		"packed of another type":   {kernels.GemmArgs{A: wide(2, 3), Packed: kernels.Pack(half(3, 5)), C: half(2, 5)}, "A is fp32 and B is fp16"},
		"packed, and C transposed": {kernels.GemmArgs{A: half(2, 3), Packed: kernels.Pack(half(3, 5)), C: half(5, 2).T()}, "C is transposed"},
		"stride beyond memory":     {kernels.GemmArgs{A: half(2, 3), B: half(3, 1), C: tensor.Matrix{Rows: 2, Cols: 1, Stride: math.MaxInt, Elements: tensor.Make(tensor.F32, 2)}}, "C: 2 elements are too few"},
		"a consumer of too much":   {kernels.GemmArgs{A: half(math.MaxInt, 0), B: half(0, 1), C: tensor.Matrix{Rows: math.MaxInt, Cols: 1}, Consumer: &copier{}}, "more elements than an int can count"},
		"a consumer of much more":  {kernels.GemmArgs{A: half(math.MaxInt/2+1, 0), B: half(0, 4), C: tensor.Matrix{Rows: math.MaxInt/2 + 1, Cols: 4}, Consumer: &copier{}}, "more elements than an int can count"},
		"stride below a row":       {kernels.GemmArgs{A: half(2, 3), B: half(3, 5), C: tensor.Matrix{Rows: 2, Cols: 5, Stride: 4, Elements: tensor.Make(tensor.F32, 10)}}, "C: stride 4"},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if msg, _ := recover().(string); !strings.Contains(msg, c.want) {
					t.Errorf("panic %q does not say %q", msg, c.want)
				}
			}()
			e.Gemm(c.args)
		})
	}
}

func TestNew(t *testing.T) {
	t.Run("the environment decides where the caller does not", func(t *testing.T) {
		t.Setenv(kernels.EnvKernel, "generic")
		if got := engine(t, kernels.Config{Kernel: kernels.Auto}).Tier(); got != "generic" {
			t.Errorf("tier %q, want generic", got)
		}
	})
	t.Run("the caller overrules the environment", func(t *testing.T) {
		t.Setenv(kernels.EnvKernel, "nonsense")
		if got := engine(t, kernels.Config{Kernel: "generic"}).Tier(); got != "generic" {
			t.Errorf("tier %q, want generic", got)
		}
	})
	t.Run("auto takes the best", func(t *testing.T) {
		t.Setenv(kernels.EnvKernel, "")
		if got, want := engine(t, kernels.Config{}).Tier(), kernels.Supported()[0]; got != want {
			t.Errorf("tier %q, want %q", got, want)
		}
	})
	t.Run("unknown names are errors that list what there is", func(t *testing.T) {
		t.Setenv(kernels.EnvKernel, "avx1024")
		_, err := kernels.New(kernels.Config{})
		var unsupported *kernels.UnsupportedError
		if !errors.As(err, &unsupported) || unsupported.Known || !unsupported.Env {
			t.Fatalf("error %v", err)
		}
		for _, part := range []string{"HALFGRAD_KERNEL=avx1024", "generic"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("error %q does not contain %q", err, part)
			}
		}
	})
	t.Run("bad settings", func(t *testing.T) {
		for want, cfg := range map[string]kernels.Config{
			"kernels: -1 threads: want 1 to 1024, or 0 for all cores":                                    {Threads: -1},
			"kernels: 1025 threads: want 1 to 1024, or 0 for all cores":                                  {Threads: kernels.MostThreads + 1},
			"kernels: 1000000 threads: want 1 to 1024, or 0 for all cores":                               {Threads: 1e6},
			"kernels: serial below -1 multiply-adds: want 1 or more, or 0 for the default":               {SerialBelow: -1},
			"kernels: blocking {MC:0 KC:-8 NC:0 B:0}: want at most 32768 for MC, KC and NC":              {Blocking: kernels.Blocking{KC: -8}},
			fmt.Sprintf("kernels: blocking {MC:0 KC:%d NC:0 B:0}: want at most 32768", math.MaxInt):      {Blocking: kernels.Blocking{KC: math.MaxInt}},
			fmt.Sprintf("kernels: blocking {MC:%d KC:0 NC:0 B:0}: want at most 32768", math.MaxInt/2+1):  {Blocking: kernels.Blocking{MC: math.MaxInt/2 + 1}},
			fmt.Sprintf("kernels: blocking {MC:0 KC:0 NC:%d B:0}: want at most 32768", math.MaxInt/16+1): {Blocking: kernels.Blocking{NC: math.MaxInt/16 + 1}},
			fmt.Sprintf("kernels: blocking {MC:0 KC:0 NC:0 B:%d}: want at most 32768", math.MaxInt):      {Blocking: kernels.Blocking{B: math.MaxInt}},
		} {
			if _, err := kernels.New(cfg); err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("error %v, want %q", err, want)
			}
		}
	})
	t.Run("the largest settings compute what others do", func(t *testing.T) {
		e := engine(t, kernels.Config{Threads: 2, Blocking: kernels.Blocking{MC: 1 << 15, KC: 1 << 15, NC: 1 << 15, B: 1 << 30}, SerialBelow: math.MaxInt})
		for _, transB := range []bool{false, true} {
			check(t, []*kernels.Engine{e}, problem{m: 100, n: 90, k: 700, operands: tensor.F16, result: tensor.F16, transB: transB, mix: kerneltest.Mixes[0]})
		}
	})
	t.Run("no more threads than the most by default", func(t *testing.T) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(kernels.MostThreads + 1))
		if got := engine(t, kernels.Config{}).Threads(); got != kernels.MostThreads {
			t.Errorf("%d threads", got)
		}
	})
}

func TestPeakLoops(t *testing.T) {
	for _, tier := range kernels.Supported() {
		loop := engine(t, kernels.Config{Kernel: tier}).Peak()
		if !loop.Supported || loop.FLOPs <= 0 {
			t.Errorf("tier %s: peak loop %+v", tier, loop)
		}
		loop.Func(1)
	}
}

func FuzzGemm(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(seed, uint8(20))
	}
	all := engines(f)
	f.Fuzz(func(t *testing.T, seed uint64, most uint8) {
		check(t, all, randomProblem(rand.New(rand.NewPCG(seed, 1)), int(most)+1))
	})
}
