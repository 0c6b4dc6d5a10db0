internal import CTokenizerData
import LeafFormat
public import LeafSystem

/// CPM-Ant's own data, which conversion stores in a model file. At run time a tokenizer is made from the bytes in that
/// file, so these bytes stay on disk.
extension Tokenizer {
    /// CPM-Ant's `vocab.txt`: 30720 tokens.
    public static var bundledVocabulary: [UInt8] { copy(leaf_vocabulary()) }

    /// jieba's dictionary and HMM tables.
    public static var bundledSegmenterData: [UInt8] { copy(leaf_segmenter()) }

    /// CPM-Ant's tokenizer.
    public static func bundled() throws(LeafError) -> Tokenizer {
        Tokenizer(
            vocabulary: try Vocabulary(text: bundledVocabulary), segmenter: try Segmenter(data: bundledSegmenterData))
    }

    private static func copy(_ data: leaf_data) -> [UInt8] {
        Array(UnsafeBufferPointer(start: data.bytes, count: data.count))
    }
}
