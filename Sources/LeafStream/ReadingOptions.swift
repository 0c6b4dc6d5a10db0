/// How weights are read.
public enum IOMode: String, Sendable, CaseIterable {
    /// `direct` if the file system supports it, otherwise `buffered`.
    case auto
    /// Maps a window of the file, populated ahead and dropped behind; weights are used in place.
    case map
    /// Reads past the page cache into slots.
    case direct
    /// Reads through the page cache into slots, and frees the page cache behind every read.
    case buffered

    /// Whether to try direct reads first.
    var triesDirect: Bool { self == .auto || self == .direct }
}

/// Where weights are read from, in which way, and how fast.
public struct ReadingOptions: Sendable, Equatable {
    /// With `direct`, it is an error if the file system refuses direct reads; only `auto` falls back.
    public var mode: IOMode
    /// The path of a second copy of the model on another drive. Both are read at the same time, each in proportion to
    /// its speed.
    public var mirror: String?
    /// The limit for all reads of weights together; nil for none.
    public var maxBytesPerSecond: Int?
    /// Whether a mapped file (`mode` is `map`) is guarded against losing pages that are in use: when somebody cuts the
    /// file, or the disk fails. With a guard the sweep ends in an error. It takes a handler of SIGBUS, which is a
    /// matter of the whole process, so a program has to ask for it; SIGBUS that is not about a guarded mapping goes on
    /// to the handler that was there before. Without a guard such a page ends the process by SIGBUS, as with any mapped
    /// file.
    public var guardsMapping: Bool

    public init(
        mode: IOMode = .auto, mirror: String? = nil, maxBytesPerSecond: Int? = nil, guardsMapping: Bool = false
    ) {
        self.mode = mode
        self.mirror = mirror
        self.maxBytesPerSecond = maxBytesPerSecond
        self.guardsMapping = guardsMapping
    }

    /// `maxBytesPerSecond` to calculate with: infinite without a limit.
    package var bytesPerSecondLimit: Double { maxBytesPerSecond.map(Double.init) ?? .infinity }

    /// All copies of a file.
    func paths(of file: String) -> [String] { [file] + (mirror.map { [$0] } ?? []) }
}
