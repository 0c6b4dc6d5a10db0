public import LeafExecutor
public import LeafFormat
import LeafStream

/// What a disk reads, and how well reading and computing hide each other.
public struct DiskRate: Sendable, Equatable {
    /// Sustained.
    public var bytesPerSecond: Double
    /// What it is allowed to read; infinite without a limit.
    public var limit: Double
    /// What each second of computing adds where reading takes longer, and each second of reading where computing takes
    /// longer, in seconds. Nothing on a machine whose disk writes to memory by itself; where a hypervisor copies what is read
    /// with the cores that compute, up to all of it.
    public var costOfComputing: Double
    public var costOfReading: Double
    /// Whether it is read past the page cache.
    public var isDirect: Bool

    /// - Parameter bytesPerSecond: of a disk that takes nothing from those who compute.
    public init(
        bytesPerSecond: Double, limit: Double = .infinity, costOfComputing: Double = 0, costOfReading: Double = 0,
        isDirect: Bool = true
    ) {
        self.bytesPerSecond = bytesPerSecond
        self.limit = limit
        self.costOfComputing = costOfComputing
        self.costOfReading = costOfReading
        self.isDirect = isDirect
    }

    public var allowedBytesPerSecond: Double { min(bytesPerSecond, limit) }

    /// How long it takes to read so much beside computing that takes `seconds` by itself. A disk that waits for its limit
    /// makes up for what computing took from it.
    func seconds(reading bytes: Double, computing seconds: Double) -> Double {
        let reading = bytes / bytesPerSecond
        return max(bytes / limit, reading + costOfComputing * seconds, seconds + costOfReading * reading)
    }
}

/// What was measured of this machine.
public struct MachineRates: Sendable, Equatable {
    public var kernels: KernelProbe
    public var disk: DiskRate

    public init(kernels: KernelProbe, disk: DiskRate) {
        self.kernels = kernels
        self.disk = disk
    }

    /// Measures for one file, in some fifteen seconds: its weights, the rows that will be on a sweep, the disk that it lies on.
    /// Takes no more than a quarter of the memory that is free.
    ///
    /// - Parameters:
    ///   - rows: numbers of rows beside one.
    ///   - reading: how a run will read. A limit counts in what is predicted, and not while measuring.
    ///   - disk: what somebody says that it reads; it is not measured then.
    ///   - onStep: told what is measured next; what it throws ends the measurement.
    /// - Throws: `.io` when the file cannot be read, `.budget` without the memory for it, `.usage` for float weights without
    ///   OpenBLAS.
    public static func measure(
        for file: ModelFile, rows: [Int], threads: Int? = nil, activations: ActivationPrecision = .int16,
        reading: ReadingOptions = ReadingOptions(), disk: DiskRate? = nil,
        onStep: (String) throws(LeafError) -> Void = { _ in }
    ) throws(LeafError) -> MachineRates {
        let machine = Machine.current()
        let set = try InstructionSet.wanted()
        try onStep("measuring the processor")
        func kernels(_ rows: [Int]) throws(LeafError) -> KernelProbe {
            try KernelProbe.measure(
                instructionSet: set, threads: threads ?? machine.cores, weights: file.leaf.weights,
                activations: activations,
                rows: rows, memoryBytes: machine.defaultBudget / 4)
        }
        let first = try kernels(rows)
        let limit = reading.maxBytesPerSecond.map(Double.init) ?? .infinity
        if var disk {
            disk.limit = limit
            return MachineRates(kernels: first, disk: disk)
        }
        try onStep("measuring the disk")
        let probe = try DiskProbe.measure(path: file.leaf.path, reading: reading)
        var rate = DiskRate(bytesPerSecond: probe.bytesPerSecond, limit: limit, isDirect: probe.mode == .direct)
        try onStep("measuring reading beside computing")
        let computingSeconds = SweepCost(file.ant, file.leaf.blocks.indices, first).seconds(rows: 1, logitRows: 1)
        let readingSeconds = Double(file.leaf.chunks.paddedBytes) / rate.bytesPerSecond
        /// With so much read in each pass that it takes `ratio` times as long as computing.
        func stream(_ ratio: Double) throws(LeafError) -> StreamProbe? {
            try StreamProbe.measure(
                file.ant, reading, streamedShare: ratio * computingSeconds / readingSeconds,
                memoryBytes: min(machine.defaultBudget / 4, 1 << 30), threads: first.threads, instructionSet: set,
                activations: activations)
        }
        let balanced = try stream(1)
        let boundByDisk = try stream(4)
        // What memory gives wanders: it is measured on both sides of what it is compared with.
        try onStep("measuring the processor again")
        let kernels = first.averaged(with: try kernels([]))
        if let balanced, let boundByDisk {
            rate.learn(from: balanced, boundByDisk) { SweepCost(file.ant, $0, kernels).seconds(rows: 1, logitRows: 1) }
        }
        return MachineRates(kernels: kernels, disk: rate)
    }
}

extension DiskRate {
    /// What a pass took beyond reading and computing is what they cost each other. The disk is as fast as the probes
    /// found it, at places all over the file and in its first blocks.
    ///
    /// - Parameters:
    ///   - balanced: reading and computing are about as long.
    ///   - boundByDisk: reading takes much longer.
    ///   - computing: seconds that a row takes for these blocks by itself.
    package mutating func learn(
        from balanced: StreamProbe, _ boundByDisk: StreamProbe, computing: (_ blocks: Range<Int>) -> Double
    ) {
        let times = [balanced.readingSeconds, computing(balanced.blocks)].sorted()
        costOfReading = min(max(0, balanced.bothSeconds - times[1]) / times[0], 1)
        // It is less when most of the time nobody computes; more is the disk's moods.
        let beyond = boundByDisk.bothSeconds - boundByDisk.readingSeconds
        costOfComputing = min(max(0, beyond / computing(boundByDisk.blocks)), costOfReading)
        bytesPerSecond = (2 * bytesPerSecond + balanced.bytesPerSecond + boundByDisk.bytesPerSecond) / 4
    }
}
