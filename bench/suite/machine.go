package suite

import (
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/cpuid/v2"

	"github.com/halfgrad/halfgrad/bench/report"
	"github.com/halfgrad/halfgrad/internal/memory"
	"github.com/halfgrad/halfgrad/kernels"
)

// ThisMachine describes the machine that the suite runs on, without anything that
// identifies it: no name, address or serial number.
func ThisMachine() report.Machine {
	c := cpuid.CPU
	m := report.Machine{
		OS: runtime.GOOS, Arch: runtime.GOARCH,
		CPU: c.BrandName, Vendor: c.VendorString, Family: c.Family, Model: c.Model, Stepping: c.Stepping,
		Cores: runtime.NumCPU(), Memory: memory.Total(), Hypervisor: c.HypervisorVendorString,
		Caches:   report.Caches{L1D: max(c.Cache.L1D, 0), L2: max(c.Cache.L2, 0), L3: max(c.Cache.L3, 0)},
		Features: c.FeatureSet(), Kernels: kernels.Supported(),
	}
	root := os.DirFS("/")
	if m.Emulator = emulator(m, root); m.Emulator != "" {
		m.Emulated = true
		return m // the system's files describe another machine
	}
	if m.CPU == "" {
		describe(&m, root)
	}
	if m.Caches == (report.Caches{}) {
		m.Caches = caches(root)
	}
	return m
}

// emulator says how it is known that the processor is emulated, or returns "". root is
// the file system.
func emulator(m report.Machine, root fs.FS) string {
	if strings.HasPrefix(m.Hypervisor, "TCG") {
		return "QEMU, by its hypervisor's name"
	}
	if strings.HasPrefix(m.CPU, "VirtualApple") {
		return "Rosetta, by the processor's name"
	}
	if m.OS != "linux" {
		return ""
	}
	// An emulator of one process, such as qemu-user, runs on a kernel of another
	// architecture, and some of that kernel's files are visible.
	const modalias, cpuinfo = "sys/devices/system/cpu/modalias", "proc/cpuinfo"
	if b, err := fs.ReadFile(root, modalias); err == nil {
		kernel, _, _ := strings.Cut(strings.TrimPrefix(string(b), "cpu:type:"), ":")
		kernel, _, _ = strings.Cut(kernel, ",")
		own := map[string]string{"amd64": "x86", "386": "x86", "arm64": "aarch64"}[m.Arch]
		if slices.Contains([]string{"x86", "aarch64"}, kernel) && kernel != own && !(kernel == "aarch64" && m.Arch == "arm") {
			return fmt.Sprintf("a kernel for %s, by /%s", kernel, modalias)
		}
	}
	if b, err := fs.ReadFile(root, cpuinfo); err == nil {
		x86 := m.Arch == "amd64" || m.Arch == "386"
		if _, isX86 := field(string(b), "vendor_id"); isX86 && !x86 && m.Arch != "s390x" {
			return fmt.Sprintf("a kernel for x86, by /%s", cpuinfo)
		}
		if _, isArm := field(string(b), "CPU implementer"); isArm && m.Arch != "arm64" && m.Arch != "arm" {
			return fmt.Sprintf("a kernel for Arm, by /%s", cpuinfo)
		}
	}
	return ""
}

// field returns the first value of a key in /proc/cpuinfo.
func field(cpuinfo, key string) (value string, found bool) {
	for line := range strings.Lines(cpuinfo) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v), true
		}
	}
	return "", false
}

// describe fills in what Linux knows about a processor that does not name itself.
func describe(m *report.Machine, root fs.FS) {
	b, err := fs.ReadFile(root, "proc/cpuinfo")
	if err != nil {
		return
	}
	info := string(b)
	for _, key := range []string{"model name", "cpu model", "cpu", "uarch"} { // of MIPS, POWER, RISC-V
		if m.CPU, _ = field(info, key); m.CPU != "" {
			break
		}
	}
	number := func(key string) int {
		value, _ := field(info, key)
		n, err := strconv.ParseInt(value, 0, 32)
		if err != nil {
			return 0
		}
		return int(n)
	}
	if m.Family = number("CPU implementer"); m.Family == 0 {
		return
	}
	m.Model, m.Stepping = number("CPU part"), number("CPU variant")<<4|number("CPU revision")
	m.Vendor = armVendors[m.Family]
	// A machine may have cores of several kinds.
	var names []string
	for line := range strings.Lines(info) {
		k, v, _ := strings.Cut(line, ":")
		if strings.TrimSpace(k) != "CPU part" {
			continue
		}
		part, err := strconv.ParseInt(strings.TrimSpace(v), 0, 32)
		name := armCores[[2]int{m.Family, int(part)}]
		if err != nil || name == "" {
			name = fmt.Sprintf("core %#x of implementer %#x", part, m.Family)
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	m.CPU = strings.Join(names, " + ")
}

// armVendors and armCores name the implementers and part numbers of MIDR_EL1. Source:
// the reference manuals, and Linux (arch/arm64/include/asm/cputype.h).
var (
	armVendors = map[int]string{0x41: "ARM", 0x46: "Fujitsu", 0x48: "HiSilicon", 0x4e: "NVIDIA", 0x51: "Qualcomm", 0x53: "Samsung", 0x61: "Apple", 0x6d: "Microsoft", 0xc0: "Ampere"}
	armCores   = map[[2]int]string{
		{0x41, 0xd03}: "Cortex-A53", {0x41, 0xd04}: "Cortex-A35", {0x41, 0xd05}: "Cortex-A55", {0x41, 0xd07}: "Cortex-A57",
		{0x41, 0xd08}: "Cortex-A72", {0x41, 0xd09}: "Cortex-A73", {0x41, 0xd0a}: "Cortex-A75", {0x41, 0xd0b}: "Cortex-A76",
		{0x41, 0xd0c}: "Neoverse-N1", {0x41, 0xd0d}: "Cortex-A77", {0x41, 0xd0e}: "Cortex-A76AE", {0x41, 0xd40}: "Neoverse-V1",
		{0x41, 0xd41}: "Cortex-A78", {0x41, 0xd42}: "Cortex-A78AE", {0x41, 0xd44}: "Cortex-X1", {0x41, 0xd46}: "Cortex-A510",
		{0x41, 0xd47}: "Cortex-A710", {0x41, 0xd48}: "Cortex-X2", {0x41, 0xd49}: "Neoverse-N2", {0x41, 0xd4a}: "Neoverse-E1",
		{0x41, 0xd4b}: "Cortex-A78C", {0x41, 0xd4c}: "Cortex-X1C", {0x41, 0xd4d}: "Cortex-A715", {0x41, 0xd4e}: "Cortex-X3",
		{0x41, 0xd4f}: "Neoverse-V2", {0x41, 0xd80}: "Cortex-A520", {0x41, 0xd81}: "Cortex-A720", {0x41, 0xd82}: "Cortex-X4",
		{0x41, 0xd84}: "Neoverse-V3", {0x41, 0xd85}: "Cortex-X925", {0x41, 0xd87}: "Cortex-A725", {0x41, 0xd8e}: "Neoverse-N3",
		{0x46, 0x001}: "A64FX", {0x48, 0xd01}: "Kunpeng-920", {0x61, 0x022}: "M1 Icestorm", {0x61, 0x023}: "M1 Firestorm",
		{0x61, 0x032}: "M2 Blizzard", {0x61, 0x033}: "M2 Avalanche", {0xc0, 0xac3}: "Ampere-1", {0xc0, 0xac4}: "Ampere-1A",
	}
)

// caches returns the cache sizes of the first core as Linux tells them.
func caches(root fs.FS) (c report.Caches) {
	const dir = "sys/devices/system/cpu/cpu0/cache"
	entries, err := fs.ReadDir(root, dir)
	if err != nil {
		return c
	}
	for _, entry := range entries {
		read := func(name string) string {
			b, err := fs.ReadFile(root, dir+"/"+entry.Name()+"/"+name)
			if err != nil {
				return ""
			}
			return strings.TrimSpace(string(b))
		}
		kib, err := strconv.Atoi(strings.TrimSuffix(read("size"), "K"))
		if err != nil || kib < 0 || read("type") == "Instruction" {
			continue
		}
		switch read("level") {
		case "1":
			c.L1D = kib << 10
		case "2":
			c.L2 = kib << 10
		case "3":
			c.L3 = kib << 10
		}
	}
	return c
}
