import Foundation
import GoldenSupport
import LeafSystem
import Testing

@Suite("machine") struct MachineTests {
    private func reader(_ files: [String: String]) -> KernelReports { KernelReports { files[$0] } }
    private let memory = ["/proc/meminfo": "MemTotal:       16000000 kB\nMemFree:  1 kB\nMemAvailable:    8000000 kB\n"]
    private let mask = [
        "/proc/self/status": "Name:\tx\nCpus_allowed:\t0000,000000ff\nVmHWM:\t  2048 kB\nVmRSS:\t    1024 kB\n"
    ]

    private func machine(_ files: [String: String]) -> Machine {
        Machine(reader(memory.merging(mask) { a, _ in a }.merging(files) { _, b in b }))
    }

    @Test func withoutAContainerTheMachineCounts() {
        let machine = machine([:])
        #expect(machine.totalBytes == 16_000_000 << 10)
        #expect(machine.availableBytes == 8_000_000 << 10)
        #expect(machine.containerLimitBytes == nil && machine.containerRoomBytes == nil)
        #expect(machine.cores == 8)
        #expect(machine.defaultBudget == machine.availableBytes - machine.availableBytes / 8)
    }

    @Test func versionTwoTakesTheSmallestLimitOnTheWayUp() {
        let machine = machine([
            "/proc/self/cgroup": "0::/user.slice/app.scope\n",
            "/proc/self/mountinfo": "30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
            "/sys/fs/cgroup/user.slice/app.scope/memory.max": "max\n",
            "/sys/fs/cgroup/user.slice/app.scope/memory.high": "900000000\n",
            "/sys/fs/cgroup/user.slice/app.scope/memory.current": "1000000\n",
            "/sys/fs/cgroup/user.slice/memory.max": "536870912\n",
            "/sys/fs/cgroup/user.slice/memory.current": "136870912\n",
            "/sys/fs/cgroup/user.slice/memory.stat": "anon 5\ninactive_file 36870912\n",
            "/sys/fs/cgroup/user.slice/app.scope/cpu.max": "150000 100000\n",
            "/sys/fs/cgroup/user.slice/cpu.max": "max 100000\n",
        ])
        #expect(machine.containerLimitBytes == 536_870_912)
        #expect(machine.containerRoomBytes == 436_870_912)
        #expect(machine.cores == 2)
        #expect(machine.defaultBudget == 436_870_912 - 436_870_912 / 8)
    }

    @Test func versionOneIsFoundAtOddMountsAndBelowItsRoot() {
        let machine = machine([
            "/proc/self/cgroup": "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc/job\n0::/\n",
            "/proc/self/mountinfo": """
            40 30 0:33 /docker/abc /odd\\040place/memory ro - cgroup cgroup rw,memory
            41 30 0:34 /docker/abc /odd\\040place/cpu ro - cgroup cgroup rw,cpu,cpuacct
            42 30 0:35 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
            """,
            "/odd place/memory/memory.limit_in_bytes": "1073741824\n",
            "/odd place/memory/memory.usage_in_bytes": "1073741824\n",
            "/odd place/memory/memory.stat": "inactive_file 1\ntotal_inactive_file 73741824\n",
            "/odd place/memory/job/memory.limit_in_bytes": "9223372036854771712\n",
            "/odd place/memory/job/memory.usage_in_bytes": "5\n",
            "/odd place/cpu/cpu.cfs_quota_us": "300000\n",
            "/odd place/cpu/cpu.cfs_period_us": "100000\n",
        ])
        #expect(machine.containerLimitBytes == 1 << 30)
        #expect(machine.containerRoomBytes == 73_741_824)
        #expect(machine.cores == 3)
        #expect(machine.defaultBudget == 73_741_824 - (32 << 20))
    }

    @Test func noLimitInVersionOneIsNoLimit() {
        let machine = machine([
            "/proc/self/cgroup": "4:memory:/\n5:cpu:/\n",
            "/proc/self/mountinfo": """
            40 30 0:33 / /cg/memory rw - cgroup cgroup rw,memory
            41 30 0:33 / /cg/cpu rw - cgroup cgroup rw,cpu

            """,
            "/cg/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "/cg/memory/memory.usage_in_bytes": "100\n",
            "/cg/cpu/cpu.cfs_quota_us": "-1\n",
            "/cg/cpu/cpu.cfs_period_us": "100000\n",
        ])
        #expect(machine.containerLimitBytes == nil && machine.containerRoomBytes == nil && machine.cores == 8)
    }

    @Test func rubbishIsNoLimitAndNoTrap() {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        let pieces = [
            ":", "::", "0::", "/", "..", " ", "\n", "-", "cgroup2", "cgroup", "memory", "max", "99999999999999999999",
            "-5", "\\04", "\\777",
            "kB", "VmHWM", "MemTotal:", "é", "0", "1 2", ",",
        ]
        for _ in 0..<2000 {
            var text = ""
            for _ in 0..<Int.random(in: 0..<30, using: &random) { text += pieces.randomElement(using: &random)! }
            let rubbish = text
            let everything = KernelReports { _ in rubbish }
            let machine = Machine(everything)
            #expect(machine.cores >= 1 && machine.defaultBudget >= 0, "seed \(seed)")
            _ = ProcessMemory.peakBytes(everything)
            _ = ProcessMemory.bytesWritten(everything)
        }
    }

    @Test func thisProcessHasMemoryAndCores() throws {
        #expect(ProcessMemory.peakBytes > 1 << 20)
        #expect(ProcessMemory.peakBytes(reader(mask)) == 2 << 20)
        #expect(Machine.current().cores <= ProcessInfo.processInfo.processorCount)
        #expect(Machine.current().defaultBudget > 0)
        #expect(ProcessMemory.bytesWritten(reader(["/proc/self/io": "rchar: 5\nwrite_bytes: 4096\n"])) == 4096)
    }

    /// As in a bare chroot: no `/proc`, no `/sys`.
    @Test func withoutFilesTheKernelIsAsked() throws {
        let folder = try TemporaryDirectory()
        let bare = KernelReports.under(folder.url.path)
        let (machine, here) = (Machine(bare), Machine.current())
        #expect(bare.file("/proc/meminfo") == nil)
        // Both are the kernel's number of the same pages.
        #expect(abs(machine.totalBytes - here.totalBytes) < 1 << 20)
        #expect(machine.availableBytes > 0 && machine.availableBytes <= machine.totalBytes)
        #expect(machine.defaultBudget > 0)
        #expect(machine.cores >= here.cores && machine.cores <= 8192)
        #expect(machine.containerLimitBytes == nil)
        // The kernel adds up counts of each processor, and not at the same moment.
        #expect(ProcessMemory.peakBytes(bare) > ProcessMemory.peakBytes / 2)
        #expect(ProcessMemory.bytesWritten(bare) == nil)
        #expect(!KernelFeatures(bare).hasMemoryPressure && !KernelFeatures.hasHugePages(bare))
    }

    @Test func aFileOfTheKernelGoesBeforeWhatItAnswers() {
        var reports = reader(memory.merging(mask) { a, _ in a })
        reports.memory = { (1, 1) }
        reports.processors = { 99 }
        reports.peakBytes = { 1 }
        #expect(Machine(reports) == machine([:]))
        #expect(ProcessMemory.peakBytes(reports) == 2 << 20)
        reports.file = { _ in nil }
        #expect(Machine(reports).totalBytes == 1 && Machine(reports).cores == 99)
        #expect(ProcessMemory.peakBytes(reports) == 1)
    }

    @Test(arguments: [
        ("always [madvise] never\n", "madvise"), ("[always] madvise never", "always"), ("", nil), ("always never", nil),
        ("always madvise [never]\n", "never"),
    ])
    func kernelFeaturesAreWhatTheKernelSays(setting: String, hugePages: String?) {
        let system = reader([
            "/proc/cpuinfo": "processor\t: 0\nmodel name\t: Ant 9000 @ 3: fast\nmodel name\t: other\n",
            "/sys/kernel/mm/transparent_hugepage/enabled": setting, "/proc/pressure/memory": "some avg10=0.00",
        ])
        let features = KernelFeatures(system)
        #expect(features.hugePages == hugePages)
        #expect(KernelFeatures.hasHugePages(system) == (hugePages == "always" || hugePages == "madvise"))
        #expect(features.processor == "Ant 9000 @ 3: fast")
        #expect(features.hasMemoryPressure)
        let nothing = KernelFeatures(reader([:]))
        #expect(nothing.processor == "" && nothing.hugePages == nil && !nothing.hasMemoryPressure)
    }
}
