public import CPMAnt
import Dispatch
public import LeafFormat
import LeafStream
import Synchronization

/// What a disk reads, and what reading and computing take from each other.
public struct DiskRate: Sendable, Equatable {
    /// Sustained, while nothing is computed.
    public var bytesPerSecond: Double
    /// What is left of that rate while all threads compute.
    ///
    /// Reading takes processor time, on a virtual machine the hypervisor's, which has to come from somewhere.
    public var shareBesideComputing: Double
    /// What is left of computing meanwhile.
    public var computingShare: Double
    /// Whether it is read past the page cache.
    public var isDirect: Bool

    /// - Parameter bytesPerSecond: of a disk that takes nothing from those who compute.
    public init(
        bytesPerSecond: Double, shareBesideComputing: Double = 1, computingShare: Double = 1, isDirect: Bool = true
    ) {
        self.bytesPerSecond = bytesPerSecond
        self.shareBesideComputing = shareBesideComputing
        self.computingShare = computingShare
        self.isDirect = isDirect
    }

    /// How long it takes to read so much beside computing that takes `seconds` by itself: both slowly, until one of them
    /// is done, and then the other at its own pace.
    func seconds(reading bytes: Double, computing seconds: Double) -> Double {
        let reading = bytes / (bytesPerSecond * shareBesideComputing)
        let computing = seconds / computingShare
        return reading <= computing
            ? reading + seconds - reading * computingShare
            : computing + bytes / bytesPerSecond - computing * shareBesideComputing
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

    /// Measures for one file, in some five seconds: its weights, the rows that will be on a sweep, the disk that it lies on.
    /// Takes no more than a quarter of the memory that is free.
    ///
    /// - Parameters:
    ///   - rows: numbers of rows beside one.
    ///   - disk: what somebody says that it reads; it is not measured then.
    ///   - onStep: told what is measured next.
    /// - Throws: `.io` when the file cannot be read, `.budget` without the memory for it, `.usage` for float weights without
    ///   OpenBLAS.
    public static func measure(
        for file: LeafFile, rows: [Int], threads: Int? = nil, activations: ActivationPrecision = .int16,
        disk: DiskRate? = nil, onStep: (String) -> Void = { _ in }
    ) throws(LeafError) -> MachineRates {
        let machine = Machine.current()
        let set = try InstructionSet.wanted()
        onStep("measuring the processor")
        let kernels = try KernelProbe.measure(
            instructionSet: set, threads: threads ?? machine.cores, weights: file.weights, activations: activations,
            rows: rows, memoryBytes: machine.defaultBudget / 4)
        if let disk { return MachineRates(kernels: kernels, disk: disk) }
        onStep("measuring the disk")
        let alone = try DiskProbe.measure(path: file.path)
        let reading = Reading(path: file.path)
        let weights = try KernelProbe.weightBytesPerSecond(
            instructionSet: set, threads: kernels.threads, weights: file.weights, activations: activations,
            memoryBytes: machine.defaultBudget / 4, until: { reading.isOver })
        let beside = try reading.outcome()
        return MachineRates(
            kernels: kernels,
            disk: DiskRate(
                bytesPerSecond: alone.bytesPerSecond, shareBesideComputing: min(1, beside / alone.bytesPerSecond),
                computingShare: min(1, weights / kernels.weightBytesPerSecond(rows: 1)),
                isDirect: alone.mode == .direct))
    }

    /// A measurement of the disk on a thread of its own, while others compute.
    private final class Reading: Sendable {
        private let result = Mutex<Result<Double, LeafError>?>(nil)
        private let thread = DispatchGroup()

        init(path: String) {
            DispatchQueue(label: "leafcutter.rates", qos: .userInitiated).async(group: thread) {
                let outcome = Result { () throws(LeafError) in
                    try DiskProbe.measure(path: path, seconds: 1.5).bytesPerSecond
                }
                self.result.withLock { $0 = outcome }
            }
        }

        var isOver: Bool { result.withLock { $0 != nil } }

        /// Waits for its end.
        func outcome() throws(LeafError) -> Double {
            thread.wait()
            guard let result = result.withLock({ $0 }) else { return 0 }
            return try result.get()
        }
    }
}
