extension Array {
    /// Bytes on the heap of an array without room to grow. What malloc gives beyond that depends on what was freed
    /// before; a page stands for it, so that a plan is the same in every process.
    var heapBytes: Int { count * MemoryLayout<Element>.stride + 4096 }
}
