import CPMAntShape
import Glibc
import LeafFormat
import LeafSystem

/// Deletes a checkpoint piece by piece while it is converted, so that checkpoint and model together need little more
/// disk than the checkpoint.
///
/// When a block is durable, the pages that it was made from are freed, as a hole in their file. The files keep their
/// sizes and tables, so that an interrupted conversion can continue. Before the first hole they are renamed, so that
/// nobody takes them for a complete checkpoint. They are removed when the model file has its name.
package struct Consumption: Sendable {
    /// The suffix of a file that is being consumed.
    static let suffix = ".consumed"

    /// Disk space that is freed once each block is durable; empty if the model file is on another disk.
    let freedBytes: [Int]
    private let files: [CheckpointFiles.WeightFile]
    private let indexPath: String?
    private let outputs: [OutputFile]
    /// For each block, numbers of files and ranges of whole pages.
    private let holes: [[(file: Int, range: Range<Int>)]]

    /// Changes nothing yet.
    ///
    /// - Throws: `.usage` if the files cannot be consumed, or if they have other names too.
    init(_ checkpoint: Checkpoint, output: String, calls: WriteCalls) throws(LeafError) {
        files = checkpoint.files.weightFiles
        indexPath = checkpoint.files.indexPath
        var outputs: [OutputFile] = []
        for file in files {
            let path = file.file.path
            guard let identity = FilePath.identity(of: path), !identity.isLink else {
                throw Self.refusal(path, "is a symbolic link, whose file others may use (as in Hugging Face's cache)")
            }
            guard identity.names == 1 else { throw Self.refusal(path, "has other names, which would lose it too") }
            guard FilePath.isWritableFolder(of: path) else { throw Self.refusal(path, "lies in a read-only folder") }
            let writable: OutputFile
            do throws(LeafError) {
                writable = try OutputFile(path: path, creates: false, calls: calls)
            } catch { throw Self.refusal(path, "cannot be written") }
            guard writable.canFree else {
                throw Self.refusal(path, "lies on a file system that cannot free a part of a file")
            }
            outputs.append(writable)
        }
        self.outputs = outputs
        holes = Self.holes(checkpoint, files.map(\.file))
        let target = FilePath.identity(of: FilePath.folder(of: output))?.device
        let isSameDisk = files.map { FilePath.identity(of: $0.file.path)?.device == target }
        freedBytes =
            isSameDisk.contains(true)
            ? holes.map { $0.reduce(0) { isSameDisk[$1.file] ? $0 + $1.range.count : $0 } } : []
    }

    private static func refusal(_ path: String, _ reason: String) -> LeafError {
        LeafError(.usage, "\(path) cannot be deleted: it \(reason)", advice: .without("consume"))
    }

    /// Renames the files to the names of consumed files.
    func begin() throws(LeafError) {
        for file in files where FilePath.exists(file.path) {
            try FilePath.rename(file.path, to: file.path + Self.suffix)
        }
    }

    /// Frees the pages that a block was made from.
    func free(block: Int) throws(LeafError) {
        for (file, range) in holes[block] { try outputs[file].free(range) }
    }

    /// Removes the files.
    func finish() throws(LeafError) { try Self.remove(files.map(\.path), indexPath) }

    /// Removes what an earlier run left, if it was killed after its last step.
    static func finish(path: String) throws(LeafError) {
        let (shards, index) = try CheckpointFiles.names(path)
        try remove(shards, index)
    }

    /// The index is removed last, because it lists the other files.
    private static func remove(_ paths: [String], _ indexPath: String?) throws(LeafError) {
        for path in paths { try FilePath.remove(path + suffix) }
        if let indexPath { try FilePath.remove(indexPath) }
    }

    // MARK: what belongs to which block

    /// The whole pages that nothing else needs once a block is durable. Tensors may share bytes; then the last block
    /// that needs them counts.
    private static func holes(_ checkpoint: Checkpoint, _ files: [InputFile]) -> [[(file: Int, range: Range<Int>)]] {
        let shape = ModelShape(checkpoint.configuration, weights: .float32)
        var needs = files.map { _ in [(range: Range<Int>, block: Int)]() }
        func need(_ tensor: SourceTensor, _ block: Int) {
            if let file = files.firstIndex(where: { $0 === tensor.storage.file }), !tensor.range.isEmpty {
                needs[file].append((tensor.range, block))
            }
        }
        // Every run reads these tensors, and they are small.
        for tensor in checkpoint.residents.values { need(tensor, Int.max) }
        if let head = checkpoint.head { need(head, 0) }
        for (index, block) in shape.blocks.enumerated() {
            for matrix in block.matrices {
                switch checkpoint.matrices[matrix.name]! {
                case .floats(let tensor): need(tensor, index)
                case .quantized(let values, let scales):
                    need(values, index)
                    need(scales, index)
                }
            }
        }
        var holes = shape.blocks.map { _ in [(file: Int, range: Range<Int>)]() }
        for (file, needs) in needs.enumerated() {
            for (range, block) in lastNeeds(needs) where block < Int.max {
                let page = ChunkGeometry.alignment
                let pages =
                    range.lowerBound.roundedUp(
                        to: page)..<max(range.upperBound / page * page, range.lowerBound.roundedUp(to: page))
                if !pages.isEmpty { holes[block].append((file, pages)) }
            }
        }
        return holes
    }

    /// Splits overlapping ranges at all their ends, and returns each part with the highest block number that needs it.
    package static func lastNeeds(_ needs: [(range: Range<Int>, block: Int)]) -> [(range: Range<Int>, block: Int)] {
        let sorted = needs.sorted { $0.range.lowerBound < $1.range.lowerBound }
        let borders = Set(needs.flatMap { [$0.range.lowerBound, $0.range.upperBound] }).sorted()
        var parts: [(range: Range<Int>, block: Int)] = []
        var open: [(range: Range<Int>, block: Int)] = []
        var next = 0
        for (begin, end) in zip(borders, borders.dropFirst()) {
            open.removeAll { $0.range.upperBound <= begin }
            while next < sorted.count, sorted[next].range.lowerBound <= begin {
                open.append(sorted[next])
                next += 1
            }
            if let last = open.map(\.block).max() { parts.append((begin..<end, last)) }
        }
        return parts
    }
}
