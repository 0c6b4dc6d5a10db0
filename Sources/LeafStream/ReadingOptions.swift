/// How weights are read.
public enum IOMode: String, Sendable, CaseIterable {
    /// `direct` where the file system takes it, else `buffered`.
    case auto
    /// A window of the mapped file, populated ahead and dropped behind, used in place.
    case map
    /// Past the page cache, into slots.
    case direct
    /// Through the page cache, which is emptied behind every read, into slots.
    case buffered

    /// Whether direct reads are tried first.
    var triesDirect: Bool { self == .auto || self == .direct }
}

/// Where weights are read from, how, and how fast.
public struct ReadingOptions: Sendable, Equatable {
    /// `direct` is an error where the file system refuses it; only `auto` falls back.
    public var mode: IOMode
    /// The path of a second copy of the model, on another drive, read at the same time; each brings as much as it is fast.
    public var mirror: String?
    /// Of all reads of weights together; nil for no limit.
    public var maxBytesPerSecond: Int?

    public init(mode: IOMode = .auto, mirror: String? = nil, maxBytesPerSecond: Int? = nil) {
        self.mode = mode
        self.mirror = mirror
        self.maxBytesPerSecond = maxBytesPerSecond
    }

    /// All copies of a file.
    func paths(of file: String) -> [String] { [file] + (mirror.map { [$0] } ?? []) }
}
