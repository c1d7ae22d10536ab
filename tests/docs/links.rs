//! A link to another document leads to one.

use crate::documents;

#[test]
fn links_lead_to_documents_that_are_there() {
    for document in documents() {
        let beside = document.path.parent().unwrap();
        for (number, line) in document.prose() {
            for link in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                let target = link.split('#').next().unwrap_or_default();
                let ours = !link.contains("://") && !target.is_empty();
                let there = !ours || beside.join(target).exists();
                assert!(there, "{}:{number}: {link}", document.name());
            }
        }
    }
}
