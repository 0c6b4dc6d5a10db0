import Foundation
import LeafFormat
import LeafStream
import LeafSystem
import Testing

@Suite("machine") struct MachineTests {
    private func reader(_ files: [String: String]) -> SmallFileReader { SmallFileReader { files[$0] } }
    private let memory = ["/proc/meminfo": "MemTotal:       16000000 kB\nMemFree:  1 kB\nMemAvailable:    8000000 kB\n"]
    private let mask = [
        "/proc/self/status": "Name:\tx\nCpus_allowed:\t0000,000000ff\nVmHWM:\t  2048 kB\nVmRSS:\t    1024 kB\n"
    ]

    private func machine(_ files: [String: String]) -> Machine {
        Machine(reader: reader(memory.merging(mask) { a, _ in a }.merging(files) { _, b in b }))
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
            "/proc/self/mountinfo":
                "40 30 0:33 / /cg/memory rw - cgroup cgroup rw,memory\n41 30 0:33 / /cg/cpu rw - cgroup cgroup rw,cpu\n",
            "/cg/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "/cg/memory/memory.usage_in_bytes": "100\n",
            "/cg/cpu/cpu.cfs_quota_us": "-1\n",
            "/cg/cpu/cpu.cfs_period_us": "100000\n",
        ])
        #expect(machine.containerLimitBytes == nil && machine.containerRoomBytes == nil && machine.cores == 8)
    }

    @Test func rubbishIsNoLimitAndNoTrap() {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SplitMix(seed: seed)
        let pieces = [
            ":", "::", "0::", "/", "..", " ", "\n", "-", "cgroup2", "cgroup", "memory", "max", "99999999999999999999",
            "-5", "\\04", "\\777",
            "kB", "VmHWM", "MemTotal:", "é", "0", "1 2", ",",
        ]
        for _ in 0..<2000 {
            var text = ""
            for _ in 0..<Int.random(in: 0..<30, using: &random) { text += pieces.randomElement(using: &random)! }
            let rubbish = text
            let everything = SmallFileReader { _ in rubbish }
            let machine = Machine(reader: everything)
            #expect(machine.cores >= 1 && machine.defaultBudget >= 0, "seed \(seed)")
            _ = ProcessMemory(reader: everything)
            _ = ProcessMemory.bytesWritten(reader: everything)
        }
    }

    @Test func thisProcessHasMemoryAndCores() throws {
        let memory = try #require(ProcessMemory.now())
        #expect(memory.peakBytes >= memory.residentBytes && memory.residentBytes > 1 << 20)
        #expect(ProcessMemory(reader: reader(mask)) == ProcessMemory(reader: reader(mask)))
        #expect(ProcessMemory(reader: reader(mask))?.peakBytes == 2 << 20)
        #expect(Machine.current().cores <= ProcessInfo.processInfo.processorCount)
        #expect(Machine.current().defaultBudget > 0)
        #expect(ProcessMemory.bytesWritten(reader: reader(["/proc/self/io": "rchar: 5\nwrite_bytes: 4096\n"])) == 4096)
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
        let features = KernelFeatures(reader: system)
        #expect(features.hugePages == hugePages)
        #expect(KernelFeatures.hasHugePages(system) == (hugePages == "always" || hugePages == "madvise"))
        #expect(features.processor == "Ant 9000 @ 3: fast")
        #expect(features.hasMemoryPressure)
        let nothing = KernelFeatures(reader: reader([:]))
        #expect(nothing.processor == "" && nothing.hugePages == nil && !nothing.hasMemoryPressure)
    }

    /// A store reads chunk after chunk: so does the probe, from places all over the file.
    @Test func theProbeReadsInRunsAllOverTheFile() throws {
        let request = 4096
        let model = try TestModel(sizes: [Int](repeating: request, count: 3000), seed: 2)
        let offsets = Locked<[Int]>([])
        var system = SystemCalls.here
        system.read = { descriptor, target, count, offset in
            let number = offsets.withLock { list in
                list.append(offset)
                return list.count
            }
            // The 1400th read ends the test, not a clock.
            return number > 1400 ? -Int(EIO) : SystemCalls.here.read(descriptor, target, count, offset)
        }
        #expect(throws: LeafError.self) {
            try DiskProbe.measure(
                path: model.file.path, seconds: 60, request: .init(bytes: request, depth: 1), system: system)
        }
        // The first read asks whether direct reading works.
        let places = offsets.withLock { $0.dropFirst().map { $0 / request } }
        let breaks = zip(places, places.dropFirst()).enumerated().filter { $1.1 != ($1.0 + 1) % 3001 }.map {
            $0.offset + 1
        }
        #expect(breaks == Array(stride(from: 128, to: 1400, by: 128)))
        let starts = stride(from: 0, to: 1280, by: 128).map { places[$0] }.sorted()
        #expect(zip(starts, starts.dropFirst()).allSatisfy { $1 - $0 < 600 } && starts[0] < 600 && starts[9] > 2400)
    }

    @Test func theProbeReadsBothCopiesAsAStoreWould() throws {
        let model = try TestModel(sizes: [Int](repeating: 50_000, count: 20), seed: 1)
        let mirror = model.file.path + ".copy"
        try FileManager.default.copyItem(atPath: model.file.path, toPath: mirror)
        defer { unlink(mirror) }
        let paths = Locked<[Int32: String]>([:])
        let read = Locked<[String: Int]>([:])
        var system = SystemCalls.here
        system.open = { path, direct in
            let descriptor = SystemCalls.here.open(path, direct)
            paths.withLock { $0[descriptor] = path }
            return descriptor
        }
        system.read = { descriptor, target, count, offset in
            let path = paths.withLock { $0[descriptor] ?? "" }
            read.withLock { $0[path, default: 0] += count }
            return SystemCalls.here.read(descriptor, target, count, offset)
        }
        let probe = try DiskProbe.measure(
            path: model.file.path, reading: ReadingOptions(mode: .buffered, mirror: mirror), seconds: 0,
            request: .init(bytes: 64 << 10, depth: 4), system: system)
        #expect(probe.mode == .buffered && probe.bytesRead == 4 * 64 << 10)
        #expect(read.withLock { $0 } == [model.file.path: 2 * 64 << 10, mirror: 2 * 64 << 10])
        #expect(
            #expect(throws: LeafError.self) {
                try DiskProbe.measure(path: model.file.path, reading: ReadingOptions(mirror: "/nowhere/x"), seconds: 1)
            }?.description.hasPrefix("/nowhere/x: ") == true)
    }

    @Test func theProbeReadsTheFileWithTheModeThatWorks() throws {
        let model = try TestModel(sizes: [Int](repeating: 50_000, count: 20), seed: 1)
        let probe = try DiskProbe.measure(
            path: model.file.path, seconds: 0.02, request: .init(bytes: 64 << 10, depth: 4), system: .here)
        #expect(probe.mode == .direct && probe.bytesRead >= 64 << 10 && probe.bytesPerSecond > 0)
        var system = SystemCalls.here
        system.open = { path, direct in direct ? -EINVAL : SystemCalls.here.open(path, direct) }
        let buffered = try DiskProbe.measure(
            path: model.file.path, seconds: 0, request: .init(bytes: 64 << 10, depth: 2), system: system)
        #expect(buffered.mode == .buffered && buffered.bytesRead == 128 << 10)
        system.read = { _, _, _, _ in -Int(EIO) }
        #expect(throws: LeafError.self) {
            try DiskProbe.measure(
                path: model.file.path, seconds: 1, request: .init(bytes: 4096, depth: 2), system: system)
        }
        #expect(throws: LeafError.self) { try DiskProbe.measure(path: "/nowhere/x", seconds: 1) }
        #expect(truncate(model.file.path, 100) == 0)
        #expect(throws: LeafError.self) { try DiskProbe.measure(path: model.file.path, seconds: 1) }
    }
}
