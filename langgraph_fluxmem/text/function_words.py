# ruff: noqa: RUF001 - letters of other scripts are meant
"""Function words of the languages that are told apart: left out of the index, and by them a text's language is guessed.

Written by hand for this purpose: articles, pronouns, prepositions, conjunctions, auxiliaries, the commonest adverbs. Compared after
folding case; words with accents are also known without them. A language has the code of ISO 639-1.
"""

from __future__ import annotations

ENGLISH: frozenset[str] = frozenset(
    """
    a about above after again against all also am an and any are aren as at be because been before being below between both but by can
    cannot could couldn d did didn do does doesn doing don down during each ever few for from further had hadn has hasn have haven having he
    her here hers herself him himself his how however i if in into is isn it its itself just let ll m ma me might mightn more most mustn my
    myself needn no nor not now o of off on once only or other our ours ourselves out over own per re s same shall shan she should shouldn
    so some such t than that the their theirs them themselves then there these they this those through to too under until up upon ve very
    was wasn we were weren what when where which while who whom whose why will with won would wouldn y yet you your yours yourself
    yourselves
    """.split()  # noqa: SIM905 - read by people
)
"""Contractions fall apart at the apostrophe, so their halves are here."""

_LATIN: dict[str, str] = {
    "cs": """
    a aby aj ale ani asi až bez bude budou by byl byla byli bylo být co což další do ho i ja já jak jako je jeho jej její jejich jen
    ještě ji jí jiné již jsem jsi jsme jsou jste k kam kde kdo kdy když která které který ke kolik má mají máme mezi mi mně můj mít může na nad nám
    nás naše nebo než nic není o od on ona oni pak po pod podle pokud pro proč proto protože před přes při s se si sice své svůj ta tak
    také takže tam té ten tento této tím to tohoto tom tomu tu ty u už v váš ve více však všechno z za zda zde ze že
    """,
    "da": """
    af alle alt anden at blev blive bliver da de dem den denne der deres det dette dig din disse dog du efter eller en er et for fra ham
    han hans har havde have hende hendes her hos hun hvad hvem hvilke hvilken hvilket hvis hvor hvordan hvorfor hvornår i ikke ind jeg jer jo kan kunne man
    mange med meget men mig min mine mit mod må ned noget nogle nu når og også om op os over på sig sin sine sit skal skulle som sådan til
    ud under var vi vil ville vor være været
    """,
    "de": """
    aber als also am an auch auf aus bei beim bin bis bist da dadurch daher damit dann das dass dein deine dem den denn der des dessen
    deshalb die dies diese diesem diesen dieser dieses doch dort du durch ein eine einem einen einer eines er es etwas euch euer für gegen
    habe haben hat hatte hatten hier hinter ich ihm ihn ihnen ihr ihre ihrem ihren ihrer im in ins ist ja jede jedem jeden jeder jedes
    jetzt kann kannst kein keine keinen können könnte man mehr mein meine meinem meinen meiner mich mir mit muss müssen musste nach nicht
    nichts noch nun nur ob oder ohne sehr sein seine seinem seinen seiner seit sich sie sind so soll sollte sondern über um und uns unser
    unsere unter vom von vor wann war waren warum was weil welche welchem welchen welcher welches wem wen wenn wer werde werden wessen wie wieder will
    wir wird wo wurde wurden zu zum zur zwischen
    """,
    "es": """
    a al algo algunas algunos ante antes aquel aquella así aunque bajo cada como cómo con contra cual cuál cuáles cualquier cuando cuándo
    cuánto cuántos cuánta cuántas de del desde donde dónde dos durante e el él ella ellas ellos en entre era eran es esa ese eso esta está estaba
    están estar este esto estos estas fue fueron ha había habían hace hacia han hasta hay la las le les lo los más me mi mis mientras muy
    nada ni no nos nosotros nuestra nuestro nunca o os otra otro otros para pero poco por porque pues que qué quien quién quiénes se sea
    según ser si sí sido sin sobre son su sus también tan tanto te tiene tienen todo todos tu tus un una uno unos unas y ya yo
    """,
    "fi": """
    ei eikä eivät emme en enää et että he heidän heitä hän häneen hänellä hänelle hänen hänet ilman itse ja joka joita jonka jos joskus jossa jota
    jotka joten kaikki kanssa kauan koska koskaan kuin kuinka kuka ketkä kenen kun me meidän mikä millä millainen milloin minkä minne minua minulla minulle minun
    minut minä missä mistä mitkä mitä moni monta mukaan mutta myös ne niiden niin niitä noin nyt näin oli olivat olisi olla olemme olen olet
    ollut on ovat paitsi sen sekä se sellainen siellä siihen siinä siitä sinun sinut sinä sitten sitä tai te tämä tämän tässä tästä tätä
    vaan vaikka vain vielä voi
    """,
    "fr": """
    à ai aie ainsi alors après as au aucun aussi autre aux avait avant avec avoir c ça car ce ceci cela celle celui ces cet cette ceux
    chaque chez combien comme comment d dans de depuis des donc dont du elle elles en encore entre est et étaient était étant été être
    eu eux fait il ils j jamais je jusqu l la le les leur leurs lors lui m ma mais me mes moi moins mon n ne ni non nos notre nous on ont
    ou où par parce pas pendant peu peut plus pour pourquoi près puis qu quand que quel quelle quelles quels qui quoi s sa sans se sera
    ses si son sont sous sur t ta te tes toi ton toujours tous tout toute toutes très tu un une vers vos votre vous y
    """,
    "hu": """
    a addig ahol aki akik akkor alá alatt amely amelyek amelynek ami amíg amikor arra át az azok azon azt azért be belül benne de e
    ebben egy egyes egyik ehhez el ez ezek ezt ezért és fel föl ha hanem hát hogy hogyan hol honnan hova ide igen így ill illetve
    is ismét itt ki kik kinek kellett kell keresztül következő közben között majd már más meg melyik mert mi miért miután mikor milyen mely mennyi minden mindig mint mit mivel most
    nagyon ne nekem neki nem nincs olyan ott ő ők őket össze pedig s sem soha sok szerint számára te tehát után ugyanis úgy vagy
    vagyok valaki valami van vannak vele vissza viszont volna volt voltak
    """,
    "id": """
    ada adalah agar akan akhirnya aku anda antara apa apakah apabila atas atau bagaimana bagi bahwa banyak beberapa belum berapa bersama bisa bukan dalam dan
    dapat dari daripada dengan di dia hanya harus hingga ia ini itu jika juga kalau kami kamu kapan karena ke kemudian kepada ketika kita lagi
    lebih maka masih mana mengapa mereka namun nya oleh pada paling para per pernah pun sampai sangat saat saja saya sebagai sebelum sebuah sedang
    sehingga sejak selama semua seorang seperti serta sesudah setelah setiap siapa sudah suatu supaya tanpa tapi telah tentang
    tersebut tetapi tidak untuk yaitu yang
    """,
    "it": """
    a abbiamo ad ai al alla alle agli allo anche ancora aveva avere avevano c che chi ci ciò come con contro cosa così cui da dal dalla dai dalle
    degli dei del dell della delle dello di dopo dov dove e è ed era erano essere fa fino fra fu gli ha hai hanno ho i il in io l la le lei
    li lo loro lui ma me mentre mi mia mie miei mio molto ne negli nei nel nell nella nelle no noi non nostra nostro o ogni ora per perché perciò
    più poi prima può qual quale quali quando quanta quante quanti quanto quella quelle quello questa queste questi questo qui se sei sempre senza si sia sono sopra sotto sta
    stata stato su sua sue sui sul sulla suo suoi ti tra tu tua tuo tutti tutto un una uno v vi voi
    """,
    "nl": """
    aan achter al alle alleen als altijd andere ben bij daar dan dat de deze die dit doch doen door dus een en er ge geen gedurende haar had hadden
    heb hebben heeft hem het hier hij hoe hoeveel hun iemand iets ik in is ja je jij jouw jullie kan kon kunnen maar me meer men met mij mijn
    moest moet na naar niet niets nog nu of om omdat onder ons onze ook op over reeds sinds te tegen toch toen tot u uit uw van veel voor waar
    waarom wanneer want waren was wat we wel welk welke werd wezen wie wij wil worden wordt zal ze zelf zich zij zijn zo zonder zou
    """,
    "no": """
    alle at av bare begge ble bli blir de deg dem den denne der deres det dette din disse du eller en enn er et etter for fordi fra før
    gjennom ha hadde han hans har henne hennes her hos hun hva hvem hver hvilke hvilken hvilket hvis hvor hvordan hvorfor i ikke ingen inn jeg kan kunne
    man mange med meg mellom men min mine mitt mot mye må ned noe noen nå når og også om opp oss over på seg selv sin sine sitt skal skulle
    slik som så til ut uten var vi vil ville være vært vår
    """,
    "pl": """
    a aby ale bardzo bez bo by być był była było były ci co czy czyli dla dlaczego do gdy gdzie go i ich ile im inny ja jak jaka jaki jakie jako je jednak jego
    jej jest jestem jeszcze jeśli już każdy kiedy kim kto która które którego której który których którzy lecz lub ma mają mi między mnie może można mój my na nad nam nas nasz
    natomiast nawet nic nich nie niego niej nim niż o od on ona oni ono oraz po pod poza podczas ponieważ przed przez przy również się są skąd sobie swój swoje ta tak
    także tam te tego tej ten teraz też to tu ty tych tylko tym u w we więc wiele wszystko z za że ze
    """,
    "pt": """
    a à ao aos as às até cada com como da das de dela dele deles depois desde do dos duas e é ela elas ele eles em entre era eram essa esse esta
    está estão estava este eu foi foram há isso isto já lhe lhes lo mais mas me menos mesmo meu meus minha muito na não nas nem no nos nós nossa
    nosso num numa o onde os ou para pela pelas pelo pelos por porque porquê pois qual quais quando quanto quantos quantas quem que quê se seja sem sempre ser seu seus só sobre
    sua suas também tem têm tinha toda todo todos tu tua um uma umas uns você vocês vos
    """,
    "ro": """
    a acea acest această aceasta aceste acestea acestui acolo acum ai aici al ale am ar are aș asta astfel atunci au avea avem aveți că câte câți cât când care către ce cel
    cele cine cu cum da dacă dar de deci decât deja deoarece departe despre din după ea ei el ele era erau este eu fără fi fie fiecare fost iar îi îl îmi
    împotriva în înainte încă între își la le lor lui mai mea mei mele mereu meu mult multe ne nici nimic niște noastră nostru nu o ori pe
    pentru peste până prin sa sale sau său se și sub sunt suntem sunteți te toate tot toți tu tău un una unde unei unele unor unui va voi
    """,
    "sv": """
    alla allt att av blev bli blir de dem den denna deras dess det detta dig din dina ditt du där då efter ej eller en er ett för från ha hade han hans
    har henne hennes hon honom hos hur här i icke in ingen inom inte jag ju kan kunde kunna man med mellan men mig min mina mitt mot mycket
    många må ni nu när någon något några och också om oss på samma sedan sig sin sina sitt ska skall skulle som så till under upp ut utan vad var vara varför varit
    varje vars vem vi vid vilka vilken vilket vill vår våra än är åt över
    """,
    "tr": """
    acaba ama ancak artık asla aslında az bana bazı belki ben beni benim bir biraz birçok biri birkaç biz bize bizi bizim böyle bu buna bunda bundan bunlar bunu
    bunun burada çok çünkü da daha de defa değil diğer diye dolayı en fakat gibi göre hangi hangisi hatta hem henüz hep hepsi her hiç
    için ile ise kadar kaç ki kim kime kimin kimse mı mi mu mü nasıl ne neden nerede nereye niçin niye o olan olarak oldu olduğu olduğunu ona onlar onu onun
    orada oysa öyle pek sana sen seni senin sanki siz sizin sonra şey şimdi şöyle şu tüm var ve veya ya yani yok zaten
    """,
}

_OTHER: dict[str, str] = {
    "ar": """
    أن إن أنا أنت إلى التي الذي الذين إذا أو أي أين بعد بين تلك ثم حتى حول حيث دون ذلك سوف على عليه عليها عن عند عندما غير فقط في فيه فيها قبل قد كان كانت كل كم
    كما كيف لا لكن لم لماذا لن له لها لهم ليس ما ماذا متى مع من منذ منه منها مثل نحن هذا هذه هل هم هنا هناك هو هي و وقد وهو وهي يا يكون
    """,
    "el": """
    α αλλά αν από αυτά αυτές αυτή αυτό αυτοί αυτός αυτού γι για γιατί δε δεν εγώ εδώ είναι εκεί ενώ εσύ έχει έχω η ή ήταν θα και κάθε κάποιος κατά με μας μετά μέσα μη μην μια
    μία μου μπορεί να ο οι όλα όμως όπου όπως όταν ότι ούτε πάνω παρά ποια ποιο ποιος ποιου που πού πολύ πόσα πόσες πόση πόσο πόσοι πόσους πότε πριν προς πως πώς σαν σας σε στα
    στη στην στις στο στον στους σου τα της τη την τι τις το τον του τους των τότε χωρίς ως ώστε
    """,
    "fa": """
    آن آنها از است اگر اما او ای این با باید بر برای بود به بی پس تا تو چرا چه چند چون خود در دیگر را شد شده شما کجا که کدام کرد کرده کی کند ما من می نمی نه نیز هر هم
    همه هیچ و ولی وقتی وی یا یک
    """,
    "he": """
    אבל או אותה אותו אותם אז אחר אחרי איזה איזו איך אין איפה אל אם אני אנחנו אנו את אתה אתם בין גם דרך הוא היא היה היו היתה הייתה הזה הם הן זאת זה זו יותר יש כאן כאשר כדי כי
    כך כל כמה כמו כן לא לאחר לו להם לה לי לכן למה לפני מאוד מאז מאיפה מה מי מתי מן עד עוד על עם עצמו ע פי פה רק שהוא שהיא של שלה שלהם שלו שלי שם תחת
    """,
    "hi": """
    अगर अपना अपनी अपने अब आप इन इस इसका इसकी इसके इसमें इसलिए इसे उन उनका उनकी उनके उन्हें उन्होंने उस उसका उसकी उसके उसने उसे एक एवं ऐसा ऐसे और कब कर करता करते करती करना करने कहाँ कहां का कि किस
    किसका किसकी किसके किसने किसी की कुछ के को कोई कौन कौन-सा कितना कितनी कितने क्या क्यों क्योंकि गई गए गया जब जहाँ जा जाता जाती जाते जिस जो तक तब तो था थी थे दो द्वारा न नहीं ना ने पर फिर बहुत बाद भी मगर मुझे में मेरा मेरी मेरे मैं यदि यह यहाँ या ये रहा
    रही रहे लिए लेकिन वह वहाँ वाला वाली वाले वे सभी साथ सा सी से हम हमारा हमारे ही हुआ हुई हुए है हैं हो होता होती होते होना
    """,
    "ru": """
    а без более больше бы был была были было быть в вам вас ваш весь во вот все всё всего всех вы где да даже для до его ее её если есть еще ещё же
    за здесь и из или им их к как какая какие какой какого какую каких какое когда кого кому который которая которые которое кто куда ли лишь между меня мне много может можно мой моя мы на над
    надо нам нас наш не него нее неё нет ни них но ну о об один однако он она они оно от очень по под после потому почему при про с сам свой своей своего своих свою себя сейчас сколько со
    так также такой там тебя тем теперь то тогда того тоже только том тот ты у уже хотя чего чей чем что чтобы чье чья эта эти это этого этой этом этот эту я
    """,
}

FUNCTION_WORDS: dict[str, frozenset[str]] = {
    "en": ENGLISH,
    **{language: frozenset(words.split()) for language, words in {**_LATIN, **_OTHER}.items()},
}
"""Language -> its function words, in lower case."""

LATIN: tuple[str, ...] = ("en", *_LATIN)
"""The languages written with Latin letters; the first is what a text is taken for when nothing speaks for another one."""

MISLEADING: frozenset[str] = frozenset(
    """
    ada album ali alla alle alt am ant are art as at ban bare be ben bin care chat come dan dare de dell den der die do dove du elle em en era far fast fin for fra
    go had hat her here hers him hun hum i ill in inn ja jag jo kim is it la le lo los main maka male man mas me men mine more most my no non of old on ona os over pan
    per plus pour pub pun sage sale set she sin so sole son sort sub sur tam te ten this to tom ton tot tout tu under up van var vi via was we
    were will y ze
    """.split()  # noqa: SIM905 - read by people
)
"""Words (names of people and places too) that English texts hold: they do not speak for another language."""
