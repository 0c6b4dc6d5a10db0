public import LeafExecutor
public import LeafGeneration
public import LeafStream
public import LeafSystem

/// How fast a disk reads, and how much reading and computing slow each other down.
public struct DiskRate: Sendable, Equatable {
    /// The sustained rate of reading.
    public var bytesPerSecond: Double
    /// The most that may be read per second; infinite without a limit.
    public var limit: Double
    /// How much computing slows reading down while reading takes longer: seconds added for each second of computing. 0
    /// with DMA; up to 1 on a virtual disk, where the hypervisor copies with the cores that compute.
    public var costOfComputing: Double
    /// How much reading slows computing down while computing takes longer: seconds added for each second of reading. 0
    /// with DMA; up to 1 on a virtual disk.
    public var costOfReading: Double
    /// Whether reading bypasses the page cache.
    public var isDirect: Bool

    /// - Parameter bytesPerSecond: the rate while nothing is computed.
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

    /// Seconds for reading `bytes` beside computing that alone takes `seconds`: `max(R + a C, C + b R)`, where `a` is
    /// the cost of computing and `b` the cost of reading, and never less than the limit allows.
    func seconds(reading bytes: Double, computing seconds: Double) -> Double {
        let reading = bytes / bytesPerSecond
        return max(bytes / limit, reading + costOfComputing * seconds, seconds + costOfReading * reading)
    }
}

/// Measured rates of this machine.
public struct MachineRates: Sendable, Equatable {
    package var kernels: KernelProbe
    public var disk: DiskRate

    package init(kernels: KernelProbe, disk: DiskRate) {
        self.kernels = kernels
        self.disk = disk
    }

    /// What is assumed of a machine that nobody has measured: two cores with AVX2, two channels of memory, and a disk
    /// of 2 GB/s, or as slow as it is limited to be.
    package static func assumed(threads: Int, _ reading: ReadingOptions) -> MachineRates {
        let rates = [(1, 16e9), (4, 12e9), (16, 4e9), (64, 1e9)].map {
            KernelProbe.Rate(rows: $0.0, weightBytesPerSecond: $0.1)
        }
        return MachineRates(
            kernels: KernelProbe(
                threads: threads, readBytesPerSecond: 20e9, rates: rates, bytesPerWeight: 1, joinSeconds: 20e-6,
                digestBytesPerSecond: 5e9, touchSecondsPerByte: 0.2e-9),
            disk: DiskRate(bytesPerSecond: 2e9, limit: reading.bytesPerSecondLimit))
    }

    /// Memory for a glance: enough that no cache holds it.
    private static let glanceBytes = 64 << 20..<128 << 20

    /// Measures in about a second what a division of the memory depends on: few rows, and the disk.
    ///
    /// - Parameter plan: of a model whose weights are not there yet; this takes no more than a quarter of their memory.
    /// - Returns: nil where that is too little to measure with.
    /// - Throws: `.io` if the file cannot be read, `.budget` if the system refuses memory.
    static func glance(
        at file: ModelFile, _ settings: Settings, within plan: MemoryPlan, system: SystemCalls
    ) throws(LeafError) -> MachineRates? {
        let bytes = (plan.pinnedBytes + plan.slotCount * plan.slotBytes) / 4
        guard bytes >= glanceBytes.lowerBound else { return nil }
        let kernels = try KernelProbe.measure(
            instructionSet: settings.instructionSet, threads: settings.executor.threads, weights: file.leaf.weights,
            activations: settings.executor.activations, rows: [4, 16, 64],
            memoryBytes: min(bytes, glanceBytes.upperBound), time: .milliseconds(150))
        let disk = try DiskProbe.measure(
            path: file.leaf.path, reading: settings.reading, seconds: 0.3, request: .suited(), system: system)
        return MachineRates(
            kernels: kernels,
            disk: DiskRate(
                bytesPerSecond: disk.bytesPerSecond, limit: settings.reading.bytesPerSecondLimit,
                isDirect: disk.mode == .direct))
    }

    /// Measures in about fifteen seconds for one file: kernels with its weights and these numbers of rows, and the disk
    /// that it is on. Uses at most a quarter of the free memory.
    ///
    /// - Parameters:
    ///   - rows: numbers of rows to measure, besides one.
    ///   - reading: how a run will read. A limit affects predictions, not the measurement.
    ///   - disk: the disk's rate, if the caller knows it; it is not measured then.
    ///   - cancellation: ends the measurement with `.cancelled`.
    ///   - onStep: called with what is measured next; what it throws ends the measurement.
    /// - Throws: `.io` if the file cannot be read, `.budget` if there is not enough memory, `.usage` for float weights
    ///   without OpenBLAS.
    public static func measure(
        for file: ModelFile, rows: [Int], threads: Int? = nil, activations: ActivationPrecision = .int16,
        reading: ReadingOptions = ReadingOptions(), disk: DiskRate? = nil,
        cancellation: Cancellation = Cancellation(), onStep: (String) throws(LeafError) -> Void = { _ in }
    ) throws(LeafError) -> MachineRates {
        let machine = Machine.current()
        let set = try InstructionSet.wanted()
        try onStep("measuring the processor")
        func kernels(_ rows: [Int]) throws(LeafError) -> KernelProbe {
            try KernelProbe.measure(
                instructionSet: set, threads: threads ?? machine.cores, weights: file.leaf.weights,
                activations: activations, rows: rows, memoryBytes: machine.defaultBudget / 4,
                check: { () throws(LeafError) in try check(cancellation) })
        }
        let first = try kernels(rows)
        try check(cancellation)
        let limit = reading.bytesPerSecondLimit
        if var disk {
            disk.limit = limit
            return MachineRates(kernels: first, disk: disk)
        }
        try onStep("measuring the disk")
        let probe = try DiskProbe.measure(
            path: file.leaf.path, reading: reading, isCancelled: { cancellation.isCancelled })
        try check(cancellation)
        var rate = DiskRate(bytesPerSecond: probe.bytesPerSecond, limit: limit, isDirect: probe.mode == .direct)
        try onStep("measuring reading beside computing")
        let computingSeconds = SweepCost(file.ant, file.leaf.blocks.indices, first).seconds(rows: 1, logitRows: 1)
        let readingSeconds = Double(file.leaf.chunks.paddedBytes) / rate.bytesPerSecond
        /// Measures passes in which reading takes `ratio` times as long as computing.
        func stream(_ ratio: Double) throws(LeafError) -> StreamProbe? {
            try StreamProbe.measure(
                file.ant, reading, streamedShare: ratio * computingSeconds / readingSeconds,
                memoryBytes: min(machine.defaultBudget / 4, 1 << 30), threads: first.threads, instructionSet: set,
                activations: activations, cancellation: cancellation)
        }
        let balanced = try stream(1)
        let boundByDisk = try stream(4)
        // The rate of memory varies, so it is measured before and after the passes that are compared with it.
        try onStep("measuring the processor again")
        let kernels = first.averaged(with: try kernels([]))
        if let balanced, let boundByDisk {
            rate.learn(from: balanced, boundByDisk) { SweepCost(file.ant, $0, kernels).seconds(rows: 1, logitRows: 1) }
        }
        return MachineRates(kernels: kernels, disk: rate)
    }

    private static func check(_ cancellation: Cancellation) throws(LeafError) {
        if cancellation.isCancelled { throw LeafError(.cancelled, "interrupted") }
    }
}

extension DiskRate {
    /// Derives both costs from the time that passes took beyond reading and computing alone. The disk's rate becomes
    /// the mean of the probe at offsets all over the file and of the passes over its first blocks.
    ///
    /// - Parameters:
    ///   - balanced: a probe in which reading takes about as long as computing.
    ///   - boundByDisk: a probe in which reading takes much longer.
    ///   - computing: seconds that one row takes for these blocks without reading.
    package mutating func learn(
        from balanced: StreamProbe, _ boundByDisk: StreamProbe, computing: (_ blocks: Range<Int>) -> Double
    ) {
        let times = [balanced.readingSeconds, computing(balanced.blocks)].sorted()
        costOfReading = min(max(0, balanced.bothSeconds - times[1]) / times[0], 1)
        // Computing is rare in this pass, so the cost is at most that of a balanced pass. More than that is variation
        // of the disk's rate.
        let beyond = boundByDisk.bothSeconds - boundByDisk.readingSeconds
        costOfComputing = min(max(0, beyond / computing(boundByDisk.blocks)), costOfReading)
        bytesPerSecond = (2 * bytesPerSecond + balanced.bytesPerSecond + boundByDisk.bytesPerSecond) / 4
    }
}
